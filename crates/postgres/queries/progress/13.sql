-- versions: 13-13
-- Each view tells its counters by phase; those of the present phase become done, total and unit.
-- The lateral with its limit keeps the planner from reading all of pg_class, since there is hardly ever a row.
select p.pid::int8 as pid, p.command, d.datname::text as datname, p.relid::int8 as relid,
       c.relation,
       coalesce(a.backend_type = 'autovacuum worker', false) as is_autovacuum, a.query_start as started_at,
       p.phase, p.unit, p.done, case when p.unit is not null then nullif(p.total, 0) end as total,
       v.heap_blks_total, v.heap_blks_scanned, v.heap_blks_vacuumed, v.index_vacuum_count,
       v.num_dead_tuples as dead_tuples, v.max_dead_tuples as dead_tuples_max,
       nullif(i.current_locker_pid, 0) as locker_pid
  from (
    select v.pid, v.datid, v.relid, 'VACUUM' as command, v.phase,
           case when v.phase in ('scanning heap', 'vacuuming heap') then 'blocks' end as unit,
           case when v.phase = 'scanning heap' then v.heap_blks_scanned when v.phase = 'vacuuming heap' then v.heap_blks_vacuumed
           end as done,
           v.heap_blks_total as total
      from pg_catalog.pg_stat_progress_vacuum as v
    union all
    select z.pid, z.datid, z.relid, 'ANALYZE', z.phase,
           case when z.phase like 'acquiring%' then 'blocks' when z.phase like '%extended%' then 'statistics' end,
           case when z.phase like 'acquiring%' then z.sample_blks_scanned else z.ext_stats_computed end,
           case when z.phase like 'acquiring%' then z.sample_blks_total else z.ext_stats_total end
      from pg_catalog.pg_stat_progress_analyze as z
    union all
    select i.pid, i.datid, i.relid, i.command, i.phase,
           case when i.phase like 'waiting%' then 'lockers' when i.blocks_total > 0 then 'blocks'
                when i.tuples_total > 0 then 'rows' when i.partitions_total > 0 then 'partitions' end,
           case when i.phase like 'waiting%' then i.lockers_done when i.blocks_total > 0 then i.blocks_done
                when i.tuples_total > 0 then i.tuples_done when i.partitions_total > 0 then i.partitions_done end,
           case when i.phase like 'waiting%' then i.lockers_total when i.blocks_total > 0 then i.blocks_total
                when i.tuples_total > 0 then i.tuples_total else i.partitions_total end
      from pg_catalog.pg_stat_progress_create_index as i
    union all
    select k.pid, k.datid, k.relid, k.command, k.phase,
           case k.phase when 'seq scanning heap' then 'blocks' when 'rebuilding index' then 'indexes' else 'rows' end,
           case k.phase when 'seq scanning heap' then k.heap_blks_scanned when 'rebuilding index' then k.index_rebuild_count
                else k.heap_tuples_written end,
           case k.phase when 'seq scanning heap' then k.heap_blks_total end
      from pg_catalog.pg_stat_progress_cluster as k
    union all
    select b.pid, null, null, 'BASE BACKUP', b.phase, 'bytes', b.backup_streamed, b.backup_total
      from pg_catalog.pg_stat_progress_basebackup as b
  ) as p
  left join pg_catalog.pg_stat_progress_vacuum as v on v.pid = p.pid
  left join pg_catalog.pg_stat_progress_create_index as i on i.pid = p.pid
  left join pg_catalog.pg_database as d on d.oid = p.datid
  left join lateral (select pg_catalog.format('%I.%I', n.nspname, r.relname) as relation
                       from pg_catalog.pg_class as r
                       join pg_catalog.pg_namespace as n on n.oid = r.relnamespace
                      where r.oid = p.relid and d.datname = pg_catalog.current_database()
                      limit 1) as c on true
  left join lateral pg_catalog.pg_stat_get_activity(p.pid) as a on true
