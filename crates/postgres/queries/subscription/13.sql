-- versions: 13-13
-- Only 14 lets everybody read pg_subscription.oid: here the name, unique within a database, leads there, and the worker's
-- database decides between equal names.
select w.subid::int8 as subid, w.subname::text as subname, s.datname::text as datname, s.subenabled as enabled,
       s.subslotname::text as slot_name, w.pid::int8 as pid, w.apply_workers, w.sync_workers,
       (w.received_lsn - '0/0'::pg_lsn)::int8 as received_position, w.last_msg_send_time, w.last_msg_receipt_time,
       (w.latest_end_lsn - '0/0'::pg_lsn)::int8 as latest_end_position, w.latest_end_time
  from (select v.subid, v.subname, pg_catalog.max(v.pid) filter (where v.relid is null) as pid,
               pg_catalog.max(v.received_lsn) filter (where v.relid is null) as received_lsn,
               pg_catalog.max(v.last_msg_send_time) filter (where v.relid is null) as last_msg_send_time,
               pg_catalog.max(v.last_msg_receipt_time) filter (where v.relid is null) as last_msg_receipt_time,
               pg_catalog.max(v.latest_end_lsn) filter (where v.relid is null) as latest_end_lsn,
               pg_catalog.max(v.latest_end_time) filter (where v.relid is null) as latest_end_time,
               pg_catalog.count(v.pid) filter (where v.relid is null) as apply_workers,
               pg_catalog.count(v.relid) as sync_workers
          from pg_catalog.pg_stat_subscription as v
         group by 1, 2) as w
  left join lateral pg_catalog.pg_stat_get_activity(w.pid) as a on w.pid is not null
 cross join lateral (select d.datname, p.subenabled, p.subslotname
                       from pg_catalog.pg_subscription as p
                       join pg_catalog.pg_database as d on d.oid = p.subdbid
                      where p.subname = w.subname and p.subdbid = coalesce(a.datid, p.subdbid)
                      limit 1) as s
