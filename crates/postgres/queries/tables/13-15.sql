-- versions: 13-15
-- One pass over pg_class with the functions behind the views, which would each read it anew. Sizes come from relpages because
-- the size functions lock every relation. Sums go through float8, several times cheaper than numeric and exact to 2^53. The
-- subquery t and the lateral x_toast keep the planner from 10,000 index look-ups.
select pg_catalog.current_database()::text as datname, n.nspname::text as schemaname, c.relname::text as relname,
       c.oid::int8 as relid, c.relkind::text as relkind, c.relispartition as is_partition, c.relpersistence = 'u' as is_unlogged,
       case when c.reloptions is not null then pg_catalog.array_to_string(c.reloptions, ', ') end as reloptions,
       c.reloptions is null or not c.reloptions::text ~ 'autovacuum_enabled=(f|n|of|0)' as autovacuum_enabled,
       pg_catalog.pg_stat_get_numscans(c.oid) as seq_scan, pg_catalog.pg_stat_get_tuples_returned(c.oid) as seq_tup_read,
       x.idx_scan, x.idx_tup_fetch + pg_catalog.pg_stat_get_tuples_fetched(c.oid) as idx_tup_fetch,
       pg_catalog.pg_stat_get_tuples_inserted(c.oid) as n_tup_ins, pg_catalog.pg_stat_get_tuples_updated(c.oid) as n_tup_upd,
       pg_catalog.pg_stat_get_tuples_deleted(c.oid) as n_tup_del, pg_catalog.pg_stat_get_tuples_hot_updated(c.oid) as n_tup_hot_upd,
       pg_catalog.pg_stat_get_live_tuples(c.oid) as n_live_tup, pg_catalog.pg_stat_get_dead_tuples(c.oid) as n_dead_tup,
       pg_catalog.pg_stat_get_mod_since_analyze(c.oid) as n_mod_since_analyze,
       pg_catalog.pg_stat_get_ins_since_vacuum(c.oid) as n_ins_since_vacuum,
       pg_catalog.pg_stat_get_last_vacuum_time(c.oid) as last_vacuum,
       pg_catalog.pg_stat_get_last_autovacuum_time(c.oid) as last_autovacuum,
       pg_catalog.pg_stat_get_last_analyze_time(c.oid) as last_analyze,
       pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid) as last_autoanalyze,
       pg_catalog.pg_stat_get_vacuum_count(c.oid) as vacuum_count,
       pg_catalog.pg_stat_get_autovacuum_count(c.oid) as autovacuum_count,
       pg_catalog.pg_stat_get_analyze_count(c.oid) as analyze_count,
       pg_catalog.pg_stat_get_autoanalyze_count(c.oid) as autoanalyze_count,
       c.heap_blks_fetched - c.heap_blks_hit as heap_blks_read, c.heap_blks_hit,
       x.idx_blks_fetched - x.idx_blks_hit as idx_blks_read, x.idx_blks_hit,
       case when t.oid is not null then c.toast_blks_fetched - c.toast_blks_hit end as toast_blks_read,
       case when t.oid is not null then c.toast_blks_hit end as toast_blks_hit,
       case when t.oid is not null then coalesce(x_toast.fetched - x_toast.hit, 0) end as tidx_blks_read,
       case when t.oid is not null then coalesce(x_toast.hit, 0) end as tidx_blks_hit,
       c.relpages * b.block_size as table_bytes, coalesce(t.relpages, 0) * b.block_size as toast_bytes,
       coalesce(x.relpages, 0) * b.block_size as index_bytes,
       c.reltuples::float8 as reltuples, c.relallvisible::int8 as relallvisible,
       pg_catalog.age(nullif(c.relfrozenxid, '0'))::int8 as frozen_xid_age,
       pg_catalog.mxid_age(nullif(c.relminmxid, '0'))::int8 as min_mxid_age,
       pg_catalog.age(t.relfrozenxid)::int8 as toast_frozen_xid_age
  from (select r.*, pg_catalog.pg_stat_get_blocks_fetched(r.oid) as heap_blks_fetched,
               pg_catalog.pg_stat_get_blocks_hit(r.oid) as heap_blks_hit,
               pg_catalog.pg_stat_get_blocks_fetched(r.reltoastrelid) as toast_blks_fetched,
               pg_catalog.pg_stat_get_blocks_hit(r.reltoastrelid) as toast_blks_hit
          from pg_catalog.pg_class as r
         where r.relkind in ('r', 'm', 'p') and r.relpersistence <> 't'
        offset 0) as c
  join pg_catalog.pg_namespace as n
    on n.oid = c.relnamespace and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'
 cross join (select pg_catalog.current_setting('block_size')::int8 as block_size) as b
  left join (select i.indrelid, pg_catalog.sum(pg_catalog.pg_stat_get_numscans(i.indexrelid)::float8)::int8 as idx_scan,
                    pg_catalog.sum(pg_catalog.pg_stat_get_tuples_fetched(i.indexrelid)::float8)::int8 as idx_tup_fetch,
                    pg_catalog.sum(pg_catalog.pg_stat_get_blocks_fetched(i.indexrelid)::float8)::int8 as idx_blks_fetched,
                    pg_catalog.sum(pg_catalog.pg_stat_get_blocks_hit(i.indexrelid)::float8)::int8 as idx_blks_hit,
                    pg_catalog.sum(r.relpages) as relpages
               from pg_catalog.pg_index as i
               join pg_catalog.pg_class as r on r.oid = i.indexrelid
              where r.relnamespace not in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)
              group by 1) as x on x.indrelid = c.oid
  left join (select r.oid, r.relpages, r.relfrozenxid from pg_catalog.pg_class as r where r.relkind = 't'
             offset 0) as t on t.oid = c.reltoastrelid
  left join lateral (select pg_catalog.pg_stat_get_blocks_fetched(i.indexrelid) as fetched,
                            pg_catalog.pg_stat_get_blocks_hit(i.indexrelid) as hit
                       from pg_catalog.pg_index as i
                      where c.toast_blks_fetched > 0 and i.indrelid = c.reltoastrelid
                      limit 1) as x_toast on true
