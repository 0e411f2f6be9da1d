-- versions: 13-
select pg_catalog.current_setting('server_version_num')::int8 as version_num,
       pg_catalog.current_setting('server_version') as version,
       pg_catalog.pg_postmaster_start_time() as started_at,
       pg_catalog.pg_conf_load_time() as config_loaded_at,
       r.in_recovery,
       (select c.system_identifier::text from pg_catalog.pg_control_system() as c) as system_identifier,
       (case when r.in_recovery then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_lsn() end
           operator(pg_catalog.-) '0/0'::pg_lsn)::int8 as wal_position,
       pg_catalog.current_setting('max_connections')::int8 as max_connections,
       (pg_catalog.current_setting('superuser_reserved_connections')::int8
           + coalesce(pg_catalog.current_setting('reserved_connections', true)::int8, 0)) as reserved_connections,
       (select coalesce(pg_catalog.sum(d.numbackends), 0)::int8 from pg_catalog.pg_stat_database as d) as client_backends,
       pg_catalog.clock_timestamp() as now
  from (select pg_catalog.pg_is_in_recovery() as in_recovery) as r
