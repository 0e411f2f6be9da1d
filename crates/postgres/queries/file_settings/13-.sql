-- versions: 13-
-- privilege: run: GRANT SELECT ON pg_catalog.pg_file_settings TO …; GRANT EXECUTE ON FUNCTION pg_catalog.pg_show_all_file_settings() TO …
-- Secrets are masked as in the settings probe. The error is PostgreSQL's own short text and does not repeat the value.
select s.sourcefile, s.sourceline::int8 as sourceline, s.seqno::int8 as seqno, s.name,
       case when s.secret then '******'
            else pg_catalog.regexp_replace(pg_catalog.regexp_replace(s.setting, m.pair, '\1\2******', 'gi'), m.uri, '://\1:******@', 'g')
       end as setting,
       s.applied, s.error
  from (select f.*, f.name ~* '(password|passphrase|secret|token|api_?key|private_?key|salt)' and f.name <> 'password_encryption' as secret from pg_catalog.pg_file_settings as f) as s
 cross join (select '(secret|token|password|passwd|pwd|passphrase|access_?key|api_?key)([a-z_]*\s*=\s*)(''(\\.|[^''\\])*''|"(\\.|[^"\\])*"|[^\s,]+)' as pair,
                     '://([^:/@\s]*):[^@\s]*@' as uri) as m
