-- versions: 13-13
select (r.received - '0/0'::pg_lsn)::int8 as receive_position, (r.replayed - '0/0'::pg_lsn)::int8 as replay_position,
       greatest(r.received - r.replayed, 0)::int8 as replay_lag_bytes,
       case when r.received = r.replayed then 0
            else greatest(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - r.replayed_at) * 1000, 0)
       end as replay_lag_ms,
       r.replayed_at as last_replayed_at,
       case when pg_catalog.pg_is_wal_replay_paused() then 'paused' else 'not paused' end as pause_state
  from (select pg_catalog.pg_last_wal_receive_lsn() as received, pg_catalog.pg_last_wal_replay_lsn() as replayed,
               pg_catalog.pg_last_xact_replay_timestamp() as replayed_at
         where pg_catalog.pg_is_in_recovery()) as r
