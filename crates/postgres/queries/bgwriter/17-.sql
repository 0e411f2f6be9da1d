-- versions: 17-
select b.buffers_clean, b.maxwritten_clean, b.buffers_alloc, b.stats_reset
  from pg_catalog.pg_stat_bgwriter as b
