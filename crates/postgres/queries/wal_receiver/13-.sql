-- versions: 13-
select r.pid::int8 as pid, r.status, r.slot_name, r.sender_host, r.sender_port::int8 as sender_port,
       (r.receive_start_lsn - '0/0'::pg_lsn)::int8 as receive_start_position,
       r.receive_start_tli::int8 as receive_start_timeline,
       (r.written_lsn - '0/0'::pg_lsn)::int8 as written_position, (r.flushed_lsn - '0/0'::pg_lsn)::int8 as flushed_position,
       r.received_tli::int8 as received_timeline, r.last_msg_send_time, r.last_msg_receipt_time,
       (r.latest_end_lsn - '0/0'::pg_lsn)::int8 as latest_end_position, r.latest_end_time
  from pg_catalog.pg_stat_wal_receiver as r
