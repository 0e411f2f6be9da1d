-- versions: 13-
select l.pid::int8 as pid,
       pg_catalog.count(*) filter (where l.granted) as held, pg_catalog.count(*) filter (where not l.granted) as waited_for,
       pg_catalog.max(l.transactionid::text) filter (where l.locktype = 'transactionid' and l.granted and l.mode = 'ExclusiveLock') as transaction_id,
       pg_catalog.max(l.virtualtransaction) as virtual_transaction,
       pg_catalog.bool_or(l.mode = 'SIReadLock') as serializable
  from pg_catalog.pg_lock_status() as l
 where l.pid is not null
 group by l.pid
