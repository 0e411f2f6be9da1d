-- versions: 14-
select l.pid::int8 as pid, l.locktype, l.mode, d.datname::text as datname, l.relation::int8 as relid,
       c.relation, l.page::int8 as page, l.tuple::int8 as tuple,
       l.transactionid::text::int8 as transactionid,
       case when l.locktype = 'advisory' then pg_catalog.format('%s/%s/%s', l.classid, l.objid, l.objsubid) end as advisory, l.waitstart as wait_start,
       pg_catalog.pg_blocking_pids(l.pid) as blocked_by
  from pg_catalog.pg_lock_status() as l
  left join pg_catalog.pg_database as d on d.oid = l.database
  left join lateral (select pg_catalog.format('%I.%I', n.nspname, r.relname) as relation
                       from pg_catalog.pg_class as r
                       join pg_catalog.pg_namespace as n on n.oid = r.relnamespace
                      where r.oid = l.relation and d.datname = pg_catalog.current_database()
                      limit 1) as c on true
 where not l.granted
