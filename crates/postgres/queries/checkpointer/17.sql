-- versions: 17-17
select c.num_timed, c.num_requested, c.restartpoints_timed, c.restartpoints_req, c.restartpoints_done, c.write_time, c.sync_time,
       c.buffers_written, c.stats_reset
  from pg_catalog.pg_stat_checkpointer as c
