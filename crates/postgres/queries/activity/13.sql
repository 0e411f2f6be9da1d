-- versions: 13-13
select a.pid::int8 as pid, a.backend_start, a.datname::text as datname, a.usename::text as usename,
       nullif(a.application_name, '') as application_name, pg_catalog.host(a.client_addr) as client_addr, a.backend_type,
       a.state, a.wait_event_type, a.wait_event, a.xact_start, a.query_start, a.state_change,
       pg_catalog.age(a.backend_xmin)::int8 as xmin_age, null::int8 as query_id, nullif(a.query, '') as query,
       case when a.wait_event_type = 'Lock' then pg_catalog.pg_blocking_pids(a.pid) end as blocked_by
  from pg_catalog.pg_stat_activity as a
 where (a.state <> 'idle' or (a.state is null and a.wait_event_type is distinct from 'Activity'))
   and a.pid <> pg_catalog.pg_backend_pid()
