-- versions: 13-
select s.state, s.application_name, pg_catalog.count(*) as sessions, pg_catalog.sum(s.idle) as idle_seconds,
       pg_catalog.count(*) filter (where s.idle <= 1) as idle_up_to_1s, pg_catalog.count(*) filter (where s.idle <= 2) as idle_up_to_2s,
       pg_catalog.count(*) filter (where s.idle <= 5) as idle_up_to_5s, pg_catalog.count(*) filter (where s.idle <= 15) as idle_up_to_15s,
       pg_catalog.count(*) filter (where s.idle <= 30) as idle_up_to_30s, pg_catalog.count(*) filter (where s.idle <= 60) as idle_up_to_60s,
       pg_catalog.count(*) filter (where s.idle <= 90) as idle_up_to_90s, pg_catalog.count(*) filter (where s.idle <= 120) as idle_up_to_120s,
       pg_catalog.count(*) filter (where s.idle <= 300) as idle_up_to_300s
  from (select a.state, coalesce(a.application_name, '') as application_name,
               greatest(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.state_change), 0) as idle
          from pg_catalog.pg_stat_get_activity(null) as a
         where a.state like 'idle%' and a.pid <> pg_catalog.pg_backend_pid()) as s
 group by 1, 2
