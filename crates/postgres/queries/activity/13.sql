-- versions: 13-13
-- Busy: a session that is not idle, or a background process that does not wait for work. What a role may not see has no type.
-- The cost of asking for blockers grows with the square of the waiters, and so do the answers: the 200 longest waiters say enough.
-- It runs every second, mostly to find nothing: names are looked up for what was found, and the longest waiters only where
-- somebody waits, instead of joins and a sort each time.
select a.pid::int8 as pid, a.leader_pid::int8 as leader_pid, a.backend_start,
       nullif(a.datid, 0)::int8 as datid,
       (select d.datname::text from pg_catalog.pg_database as d where d.oid = a.datid) as datname,
       nullif(a.usesysid, 0)::int8 as usesysid,
       case when a.usesysid <> 0 then pg_catalog.pg_get_userbyid(a.usesysid)::text end as usename,
       nullif(a.application_name, '') as application_name,
       pg_catalog.host(a.client_addr) as client_addr, a.client_port::int8 as client_port, a.backend_type, a.state,
       a.wait_event_type, a.wait_event, a.xact_start, a.query_start, a.state_change,
       pg_catalog.age(a.backend_xid)::int8 as xid_age, pg_catalog.age(a.backend_xmin)::int8 as xmin_age,
       nullif(pg_catalog.left(a.query, 1024), '') as query,
       case when a.wait_event_type = 'Lock' and a.pid = any (
                     (select pg_catalog.array_agg(w.pid)
                        from (select l.pid from pg_catalog.pg_stat_get_activity(null) as l
                               where l.wait_event_type = 'Lock' order by l.query_start limit 200) as w)::int4[])
            then pg_catalog.pg_blocking_pids(a.pid)
       end as blocked_by
  from pg_catalog.pg_stat_get_activity(null) as a
 where a.backend_type is not null
   and a.pid <> pg_catalog.pg_backend_pid()
   and case when a.state is null then a.wait_event_type is null or a.wait_event_type not in ('Activity', 'Extension')
            when a.state = 'disabled' then a.wait_event is distinct from 'ClientRead'
            else a.state <> 'idle' and a.wait_event_type is distinct from 'Activity'
       end
