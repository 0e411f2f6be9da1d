-- versions: 16-
-- As for tables: the functions behind the views, and sizes from relpages because the size functions lock every relation.
select pg_catalog.current_database()::text as datname, n.nspname::text as schemaname, t.relname::text as relname,
       r.relname::text as indexrelname, i.indrelid::int8 as relid, i.indexrelid::int8 as indexrelid,
       m.amname::text as access_method, i.indisunique as is_unique, i.indisprimary as is_primary,
       i.indisreplident as is_replica_identity,
       i.indexrelid in (select k.conindid from pg_catalog.pg_constraint as k where k.contype in ('p', 'u', 'x', 'f')) as is_constraint,
       i.indisvalid as is_valid, r.relkind = 'I' as is_partitioned,
       pg_catalog.pg_stat_get_numscans(i.indexrelid) as idx_scan,
       pg_catalog.pg_stat_get_tuples_returned(i.indexrelid) as idx_tup_read,
       pg_catalog.pg_stat_get_tuples_fetched(i.indexrelid) as idx_tup_fetch, pg_catalog.pg_stat_get_lastscan(i.indexrelid) as last_idx_scan,
       pg_catalog.pg_stat_get_blocks_fetched(i.indexrelid) - pg_catalog.pg_stat_get_blocks_hit(i.indexrelid) as idx_blks_read,
       pg_catalog.pg_stat_get_blocks_hit(i.indexrelid) as idx_blks_hit,
       r.relpages * pg_catalog.current_setting('block_size')::int8 as index_bytes
  from pg_catalog.pg_index as i
  join pg_catalog.pg_class as r on r.oid = i.indexrelid and r.relkind in ('i', 'I') and r.relpersistence <> 't'
  join pg_catalog.pg_class as t on t.oid = i.indrelid and t.relkind in ('r', 'm', 'p')
  join pg_catalog.pg_am as m on m.oid = r.relam
  join pg_catalog.pg_namespace as n
    on n.oid = r.relnamespace and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'
