-- versions: 13-
-- reserved_connections is a setting from 16 on.
select pg_catalog.current_setting('server_version_num')::int8 as version_num,
       pg_catalog.current_setting('server_version') as version,
       pg_catalog.version() as full_version,
       nullif(pg_catalog.current_setting('cluster_name'), '') as cluster_name,
       pg_catalog.pg_postmaster_start_time() as started_at,
       pg_catalog.pg_conf_load_time() as config_loaded_at,
       r.in_recovery,
       (select c.system_identifier::text from pg_catalog.pg_control_system() as c) as system_identifier,
       case when r.in_recovery then k.timeline_id::int8
            else ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(r.lsn), 1, 8))::bit(32)::int8
       end as timeline,
       (r.lsn - '0/0'::pg_lsn)::int8 as wal_position,
       k.checkpoint_time as checkpoint_at,
       greatest(r.lsn - k.redo_lsn, 0)::int8 as wal_since_checkpoint_bytes,
       pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8 as next_xid,
       pg_catalog.current_setting('max_connections')::int8 as max_connections,
       pg_catalog.current_setting('superuser_reserved_connections')::int8
           + coalesce(pg_catalog.current_setting('reserved_connections', true)::int8, 0) as reserved_connections,
       (select pg_catalog.count(*) from pg_catalog.pg_stat_get_activity(null) as a
         where a.datid <> 0 and coalesce(a.backend_type, 'client backend') = 'client backend') as client_backends,
       pg_catalog.pg_has_role('pg_read_all_stats', 'usage') as sees_all_sessions,
       pg_catalog.clock_timestamp() as now
  from (select s.in_recovery,
               case when s.in_recovery then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_lsn() end as lsn
          from (select pg_catalog.pg_is_in_recovery() as in_recovery) as s) as r
 cross join pg_catalog.pg_control_checkpoint() as k
