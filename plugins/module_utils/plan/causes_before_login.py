"""Causes in the configuration, in names, in the network and in TLS: what is wrong before the server knows us."""

from __future__ import annotations

from .cause import Cause, broken, warning

_SET_IT = "set {variable} in services.{service}.environment of inventories/stacks/{stack}.yml, then {deploy}"

CONFIGURATION: dict[str, Cause] = {
    "not_set": broken(
        "configuration", "the application is not told the {what}: {variable} is not set in {container}", _SET_IT
    ),
    "url_malformed": broken(
        "configuration",
        "{variable} is not a PostgreSQL address: {why}",
        "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters of the password percent-encoded, "
        "then {deploy}",
    ),
    "port_malformed": broken("configuration", "'{value}' in {variable} is not a port", _SET_IT),
    "contradiction": broken(
        "configuration",
        "two variables contradict each other: {variable} says '{value}', {other_variable} says '{other_value}'",
        "keep one of the two in services.{service}.environment of inventories/stacks/{stack}.yml, then {deploy}",
    ),
    "tls_unknown": broken(
        "configuration", "'{value}' in {variable} is neither a TLS mode nor true/false ({accepted})", _SET_IT
    ),
    "password_file_missing": broken(
        "configuration",
        "the password file {path}, named by {variable}, does not exist in {container}",
        "see that services.{service}.secrets lists {secret}, then place the secrets again: {converge}",
    ),
    "password_file_unreadable": broken(
        "configuration",
        "the application's user may not read the password file {path}: {detail}",
        "give the secret a mode the container's user can read, or correct services.{service}.user, then {converge}",
    ),
    "password_file_empty": broken(
        "configuration",
        "the password file {path} is empty",
        "put the password into secret {secret} ({secret_id}) of the secrets store, then {converge}",
    ),
    "ca_missing": broken(
        "configuration",
        "the file of the certificate authority {path}, named by {variable}, does not exist in {container}",
        "see that services.{service}.configs mounts the CA at that path, then {deploy}",
    ),
    "ca_unreadable": broken(
        "configuration",
        "the application's user may not read the file of the certificate authority {path}: {detail}",
        "make the config readable for the container's user, then {deploy}",
    ),
    "ca_malformed": broken(
        "configuration",
        "{path} holds no certificate authority in PEM form: {why}",
        "put the database's CA bundle into the config of inventories/stacks/{stack}.yml, then {deploy}",
    ),
    "ca_expired": broken(
        "configuration",
        "the certificate authority in {path} ended on {not_after}",
        "put the database's present CA bundle into the config of inventories/stacks/{stack}.yml, then {deploy}",
    ),
    "wrong_server": broken(
        "configuration",
        "the application is pointed at another server: {container} was told '{told}', the stack file says "
        "'{declared}'{whose}",
        "give {container} its declared settings: {deploy}; then look for data written to '{told}' meanwhile",
    ),
    "port_differs": warning(
        "configuration",
        "{container} was told port {told}, the stack file says {declared}",
        "give it its declared settings: {deploy}",
    ),
    "user_differs": warning(
        "configuration",
        "{container} logs in as '{told}', the stack file says '{declared}'",
        "give it its declared settings: {deploy}",
    ),
    "names_differ": warning(
        "configuration",
        "{container} uses the databases {told}, the stack file says {declared}",
        "give it its declared settings: {deploy}",
    ),
    "tls_weaker": warning(
        "configuration",
        "{container} was told TLS mode {told}, the stack file asks for {declared}",
        "give it its declared settings: {deploy}",
    ),
    "certificate_unchecked": warning(
        "configuration",
        "TLS is on, but the server's certificate is not checked ({variable} = {value})",
        "set it to true, with the CA of the database, in inventories/stacks/{stack}.yml",
    ),
    "password_in_environment": warning(
        "configuration",
        "the password stands in {variable}, where docker inspect shows it",
        "hand it over as a secret file in inventories/stacks/{stack}.yml",
    ),
    "password_has_blanks": warning(
        "configuration",
        "the password begins or ends with a blank ({length} characters)",
        "see whether that is meant: correct {secret_id} in the secrets store, then {converge}",
    ),
    "password_differs": warning(
        "configuration",
        "{container} holds another password than secret {secret} has now",
        "hand over the present one: {converge}",
    ),
    "not_running": warning(
        "configuration",
        "{container} does not run (state {state}, exit code {exit_code}); it was looked at as it was left",
        "read its last words: docker logs {container}",
    ),
    "no_container": warning(
        "configuration",
        "there is no container of service {service}; the stack file's settings were tried instead",
        "start it: {deploy}",
    ),
    "from_elsewhere": warning(
        "configuration",
        "seen from {seen_from}, since the application's own network is gone: name servers and routes may differ",
        "run it again when the application runs: {again}",
    ),
}

NETWORK: dict[str, Cause] = {
    "nxdomain": broken(
        "dns",
        "there is no name '{host}' (name server {server} is sure of it)",
        "correct the database's host in the environment's variables, or create the name; then {deploy}",
    ),
    "no_address": broken(
        "dns",
        "the name '{host}' exists, but has no address (name server {server})",
        "give it an A record, or correct the database's host in the environment's variables; then {again}",
    ),
    "dns_timeout": broken(
        "dns",
        "name server {server} did not answer about '{host}'",
        "see that it runs and that UDP port 53 reaches it: on the host, look at the dns entry of "
        "/etc/docker/daemon.json and at resolvectl or /etc/resolv.conf; then {again}",
    ),
    "dns_refused": broken(
        "dns",
        "name server {server} refuses to answer about '{host}'",
        "start the name server, or correct the dns entry of /etc/docker/daemon.json; then {again}",
    ),
    "dns_failure": broken(
        "dns",
        "name server {server} failed over '{host}'",
        "look at the log of the name server and at the servers it asks in turn; then {again}",
    ),
    "foreign_address": broken(
        "dns",
        "'{host}' leads to {addresses}, which is the address of {also_address_of}, another environment's database",
        "correct the record of '{host}' at the name server before anything is written; then {again}",
    ),
    "loopback": broken(
        "dns",
        "'{host}' leads to {addresses}: inside a container that is the container itself",
        "correct the record of '{host}', or the hosts file of the container; then {again}",
    ),
    "accessory_down": broken(
        "",
        "the database's own container {accessory} does not run ({accessory_state})",
        "read its last words: docker logs {accessory}; when that is mended, start it: {converge}",
    ),
    "tcp_refused": broken(
        "tcp",
        "{address} answers, but nothing listens on port {port}",
        "start the database server (systemctl status postgresql there), or correct the port; then {again}",
    ),
    "tcp_timeout": broken(
        "tcp",
        "nothing comes back from {address}:{port}: packets are dropped on the way",
        "open port {port} for this host in the security group or firewall of the database, and see that it runs; "
        "then {again}",
    ),
    "tcp_unreachable": broken(
        "tcp",
        "there is no way to {address}:{port}",
        "see that the database server runs and that its network is routed from this host (ip route get {address}); "
        "then {again}",
    ),
    "tcp_reset": broken(
        "tcp",
        "{address}:{port} breaks the connection off at once",
        "look at what stands before the database (proxy, load balancer) and at its log; then {again}",
    ),
    "closed": broken(
        "",
        "the other side closed the connection without a word",
        "read the server's log of this minute, and that of a proxy before it; then {again}",
    ),
    "no_answer": broken(
        "",
        "the server took the connection and then said nothing for {waited_s} s",
        "look at the server's load and disk, and at a proxy before it; then {again}",
    ),
    "not_postgresql": broken(
        "tcp",
        "what listens at {host}:{port} is not PostgreSQL ({message})",
        "correct host and port of the database in the environment's variables; then {deploy}",
    ),
    "tls_off": broken(
        "tls",
        "the server does not speak TLS, and the application was told {mode}",
        "turn TLS on at the server (ssl = on, in RDS a parameter group), never off in the application; then {again}",
    ),
    "tls_failed": broken(
        "tls",
        "the TLS handshake failed: {message}",
        "compare the server's TLS versions and ciphers with the application's; then {again}",
    ),
    "tls_demanded": broken(
        "tls",
        "the server lets '{user}' in with TLS only, and the application was told {mode}",
        "set the TLS mode of the application to verify-full in inventories/stacks/{stack}.yml, then {deploy}",
    ),
    "tls_unwanted": broken(
        "tls",
        "the server lets '{user}' in without TLS only, and the application was told {mode}",
        "change the hostnossl line of the server's pg_hba.conf to hostssl and reload it; then {again}",
    ),
    "certificate_expired": broken(
        "tls",
        "the server's certificate ended on {not_after}",
        "renew the certificate of the database server, then {again}",
    ),
    "certificate_early": broken(
        "tls",
        "the server's certificate begins only on {not_before}",
        "compare the clocks of this host and of the database server, then {again}",
    ),
    "certificate_name": broken(
        "tls",
        "the server's certificate is for {certificate_names}, not for '{host}'",
        "use the name the certificate carries as the database's host, or renew it with '{host}'; then {again}",
    ),
    "certificate_untrusted": broken(
        "tls",
        "the server's certificate was issued by '{issuer}', which the application does not trust ({message})",
        "put the CA of the database into the config of inventories/stacks/{stack}.yml, then {deploy}",
    ),
}
