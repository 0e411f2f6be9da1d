-- versions: 15-15
select s.oid::int8 as subid, s.subname::text as subname, d.datname::text as datname, s.subenabled as enabled,
       s.subslotname::text as slot_name, w.pid::int8 as pid,
       n.apply_workers, n.sync_workers,
       (w.received_lsn - '0/0'::pg_lsn)::int8 as received_position, w.last_msg_send_time, w.last_msg_receipt_time,
       (w.latest_end_lsn - '0/0'::pg_lsn)::int8 as latest_end_position, w.latest_end_time,
       e.apply_error_count, e.sync_error_count, e.stats_reset
  from pg_catalog.pg_subscription as s
  join pg_catalog.pg_database as d on d.oid = s.subdbid
  left join pg_catalog.pg_stat_subscription as w on w.subid = s.oid and w.relid is null
 cross join lateral (select pg_catalog.count(*) filter (where a.pid is not null and a.relid is null) as apply_workers,
                            pg_catalog.count(*) filter (where a.relid is not null) as sync_workers
                       from pg_catalog.pg_stat_subscription as a where a.subid = s.oid) as n
  left join pg_catalog.pg_stat_subscription_stats as e on e.subid = s.oid
