-- versions: 13-
select r.pid::int8 as pid, r.usename::text as usename, nullif(r.application_name, '') as application_name,
       pg_catalog.host(r.client_addr) as client_addr, r.client_port::int8 as client_port, s.slot_name::text as slot_name,
       r.backend_start, pg_catalog.age(r.backend_xmin)::int8 as xmin_age, r.state,
       (w.lsn - '0/0'::pg_lsn)::int8 as current_position,
       (r.sent_lsn - '0/0'::pg_lsn)::int8 as sent_position, (r.write_lsn - '0/0'::pg_lsn)::int8 as write_position,
       (r.flush_lsn - '0/0'::pg_lsn)::int8 as flush_position, (r.replay_lsn - '0/0'::pg_lsn)::int8 as replay_position,
       greatest(w.lsn - r.sent_lsn, 0)::int8 as sent_lag_bytes, greatest(w.lsn - r.write_lsn, 0)::int8 as write_lag_bytes,
       greatest(w.lsn - r.flush_lsn, 0)::int8 as flush_lag_bytes, greatest(w.lsn - r.replay_lsn, 0)::int8 as replay_lag_bytes,
       pg_catalog.date_part('epoch', r.write_lag) * 1000 as write_lag_ms,
       pg_catalog.date_part('epoch', r.flush_lag) * 1000 as flush_lag_ms,
       pg_catalog.date_part('epoch', r.replay_lag) * 1000 as replay_lag_ms,
       r.sync_priority::int8 as sync_priority, r.sync_state, r.reply_time
  from pg_catalog.pg_stat_replication as r
 cross join (select case when pg_catalog.pg_is_in_recovery()
                         then greatest(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
                         else pg_catalog.pg_current_wal_lsn() end as lsn) as w
  left join pg_catalog.pg_replication_slots as s on s.active_pid = r.pid
