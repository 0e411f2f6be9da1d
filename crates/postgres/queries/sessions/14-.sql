-- versions: 14-
-- The cost of asking for blockers grows with the square of the waiters, and so do the answers: the 200 longest waiters say enough.
select a.pid::int8 as pid, a.leader_pid::int8 as leader_pid, a.backend_start,
       nullif(a.datid, 0)::int8 as datid, a.datname::text as datname,
       nullif(a.usesysid, 0)::int8 as usesysid, a.usename::text as usename,
       nullif(a.application_name, '') as application_name,
       pg_catalog.host(a.client_addr) as client_addr, a.client_port::int8 as client_port, a.backend_type, a.state,
       a.wait_event_type, a.wait_event, a.xact_start, a.query_start, a.state_change,
       pg_catalog.age(a.backend_xid)::int8 as xid_age, pg_catalog.age(a.backend_xmin)::int8 as xmin_age,
       a.query_id, nullif(pg_catalog.left(a.query, 1024), '') as query,
       case when a.wait_event_type = 'Lock' and pg_catalog.row_number() over longest_first <= 200
            then pg_catalog.pg_blocking_pids(a.pid)
       end as blocked_by
  from pg_catalog.pg_stat_activity as a
window longest_first as (partition by a.wait_event_type = 'Lock' order by a.query_start)
