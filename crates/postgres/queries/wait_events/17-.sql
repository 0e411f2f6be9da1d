-- versions: 17-
select w.type as wait_event_type, w.name as wait_event, w.description
  from pg_catalog.pg_wait_events as w
