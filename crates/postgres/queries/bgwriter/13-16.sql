-- versions: 13-16
select b.buffers_clean, b.maxwritten_clean, b.buffers_backend, b.buffers_backend_fsync, b.buffers_alloc, b.stats_reset
  from pg_catalog.pg_stat_bgwriter as b
