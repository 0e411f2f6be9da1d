-- versions: 13-
select a.client_addr is not null as network, s.ssl, s.version, s.cipher, s.bits::int8 as bits,
       coalesce(g.encrypted, false) as gss_encrypted, pg_catalog.count(*) as count, pg_catalog.count(s.client_dn) as with_certificate
  from pg_catalog.pg_stat_ssl as s
  join pg_catalog.pg_stat_get_activity(null) as a on a.pid = s.pid
  left join pg_catalog.pg_stat_gssapi as g on g.pid = s.pid
 where a.backend_type in ('client backend', 'walsender') and s.ssl is not null
 group by 1, 2, 3, 4, 5, 6
