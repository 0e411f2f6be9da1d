-- versions: 13-
-- Settings of extensions and applications may hold secrets, and primary_conninfo a password: they never leave the server.
select s.name,
       case when s.secret then '******'
            else pg_catalog.regexp_replace(pg_catalog.regexp_replace(s.setting, m.pair, '\1\2******', 'gi'), m.uri, '://\1:******@', 'g')
       end as setting,
       case when s.secret then '******'
            else pg_catalog.regexp_replace(pg_catalog.regexp_replace(s.boot_val, m.pair, '\1\2******', 'gi'), m.uri, '://\1:******@', 'g')
       end as boot_val,
       case when s.secret then '******'
            else pg_catalog.regexp_replace(pg_catalog.regexp_replace(s.reset_val, m.pair, '\1\2******', 'gi'), m.uri, '://\1:******@', 'g')
       end as reset_val,
       s.unit, s.category, s.short_desc, s.context, s.vartype, s.source, s.min_val, s.max_val, s.sourcefile,
       s.sourceline::int8 as sourceline, s.pending_restart
  from (select g.*, g.vartype = 'string' and g.name ~* '(password|passphrase|secret|token|api_?key|private_?key|salt)' as secret from pg_catalog.pg_settings as g) as s
 cross join (select '(secret|token|password|passwd|pwd|passphrase|access_?key|api_?key)([a-z_]*\s*=\s*)(''(\\.|[^''\\])*''|"(\\.|[^"\\])*"|[^\s,]+)' as pair,
                     '://([^:/@\s]*):[^@\s]*@' as uri) as m
