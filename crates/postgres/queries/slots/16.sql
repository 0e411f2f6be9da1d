-- versions: 16-16
select s.slot_name::text as slot_name, s.slot_type, s.plugin::text as plugin, s.database::text as database, s.temporary,
       s.active, s.active_pid::int8 as active_pid,
       pg_catalog.age(s.xmin)::int8 as xmin_age, pg_catalog.age(s.catalog_xmin)::int8 as catalog_xmin_age,
       (w.lsn - '0/0'::pg_lsn)::int8 as current_position, (s.restart_lsn - '0/0'::pg_lsn)::int8 as restart_position,
       (s.confirmed_flush_lsn - '0/0'::pg_lsn)::int8 as confirmed_flush_position,
       greatest(w.lsn - s.restart_lsn, 0)::int8 as retained_bytes,
       greatest(w.lsn - s.confirmed_flush_lsn, 0)::int8 as confirmed_lag_bytes,
       s.wal_status, s.safe_wal_size, s.two_phase, s.conflicting,
       t.spill_txns, t.spill_count, t.spill_bytes, t.stream_txns, t.stream_count, t.stream_bytes, t.total_txns, t.total_bytes,
       t.stats_reset
  from pg_catalog.pg_replication_slots as s
 cross join (select case when pg_catalog.pg_is_in_recovery()
                         then greatest(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
                         else pg_catalog.pg_current_wal_lsn() end as lsn) as w
  left join pg_catalog.pg_stat_replication_slots as t on t.slot_name = s.slot_name
