-- versions: 13-
select d.datname::text as datname, u.rolname::text as usename, g.application_name, g.backend_type, g.state, g.wait_event_type,
       g.wait_event, g.count,
       pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - g.oldest_xact) * 1000 as max_xact_age_ms,
       pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - g.oldest_state) * 1000 as max_state_age_ms
  from (select a.datid, a.usesysid, nullif(a.application_name, '') as application_name, a.backend_type, a.state,
               a.wait_event_type, a.wait_event, pg_catalog.count(*) as count,
               pg_catalog.min(a.xact_start) as oldest_xact, pg_catalog.min(a.state_change) as oldest_state
          from pg_catalog.pg_stat_get_activity(null) as a
         where a.pid <> pg_catalog.pg_backend_pid()
         group by 1, 2, 3, 4, 5, 6, 7) as g
  left join pg_catalog.pg_database as d on d.oid = g.datid
  left join pg_catalog.pg_roles as u on u.oid = g.usesysid
