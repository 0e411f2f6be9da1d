-- versions: 16-
-- extension: pg_buffercache 1.4-
select u.usage_count::int8 as usage_count, u.buffers::int8 as buffers, u.dirty::int8 as dirty, u.pinned::int8 as pinned
  from {schema}.pg_buffercache_usage_counts() as u
