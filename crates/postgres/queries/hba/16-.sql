-- versions: 16-
-- privilege: run: GRANT SELECT ON pg_catalog.pg_hba_file_rules TO …; GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO …
select h.file_name, h.rule_number::int8 as rule_number, h.line_number::int8 as line_number, h.type as connection_type,
       pg_catalog.array_to_string(h.database, ',') as database, pg_catalog.array_to_string(h.user_name, ',') as user_name,
       h.address, h.netmask, h.auth_method,
       pg_catalog.regexp_replace(pg_catalog.array_to_string(h.options, ','), '((passwd|secrets?|secret)=)[^,]*', '\1******', 'gi')
           as options, h.error
  from pg_catalog.pg_hba_file_rules as h
