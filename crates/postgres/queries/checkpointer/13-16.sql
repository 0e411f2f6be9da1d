-- versions: 13-16
select b.checkpoints_timed as num_timed, b.checkpoints_req as num_requested, b.checkpoint_write_time as write_time,
       b.checkpoint_sync_time as sync_time, b.buffers_checkpoint as buffers_written, b.stats_reset
  from pg_catalog.pg_stat_bgwriter as b
