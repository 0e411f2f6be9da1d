-- versions: 16-
-- extension: pg_buffercache 1.4-
select s.buffers_used::int8 as buffers_used, s.buffers_unused::int8 as buffers_unused, s.buffers_dirty::int8 as buffers_dirty,
       s.buffers_pinned::int8 as buffers_pinned, s.usagecount_avg
  from {schema}.pg_buffercache_summary() as s
