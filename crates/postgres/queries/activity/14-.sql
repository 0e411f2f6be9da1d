-- versions: 14-
-- Busy: a session that is not idle, or a background process that does not wait for work. What a role may not see has no type.
-- The cost of asking for blockers grows with the square of the waiters, and so do the answers: the 200 longest waiters say enough.
select a.pid::int8 as pid, a.leader_pid::int8 as leader_pid, a.backend_start,
       nullif(a.datid, 0)::int8 as datid, d.datname::text as datname,
       nullif(a.usesysid, 0)::int8 as usesysid, u.rolname::text as usename,
       nullif(a.application_name, '') as application_name,
       pg_catalog.host(a.client_addr) as client_addr, a.client_port::int8 as client_port, a.backend_type, a.state,
       a.wait_event_type, a.wait_event, a.xact_start, a.query_start, a.state_change,
       pg_catalog.age(a.backend_xid)::int8 as xid_age, pg_catalog.age(a.backend_xmin)::int8 as xmin_age,
       a.query_id, nullif(pg_catalog.left(a.query, 1024), '') as query,
       case when a.wait_event_type = 'Lock' and pg_catalog.row_number() over longest_first <= 200
            then pg_catalog.pg_blocking_pids(a.pid)
       end as blocked_by
  from pg_catalog.pg_stat_get_activity(null) as a
  left join pg_catalog.pg_database as d on d.oid = a.datid
  left join pg_catalog.pg_roles as u on u.oid = a.usesysid
 where a.backend_type is not null
   and a.pid <> pg_catalog.pg_backend_pid()
   and case when a.state is null then a.wait_event_type is null or a.wait_event_type not in ('Activity', 'Extension')
            when a.state = 'disabled' then a.wait_event is distinct from 'ClientRead'
            else a.state <> 'idle' and a.wait_event_type is distinct from 'Activity'
       end
window longest_first as (partition by a.wait_event_type = 'Lock' order by a.query_start)
