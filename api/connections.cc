// SPDX-License-Identifier: Apache-2.0
#include "api/connections.h"

#include "api/convert.h"
#include "api/respond.h"
#include "base/log.h"
#include "base/seal.h"
#include "model/connection.h"
#include "pki/certificate.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

using model::Connection;
using Seal = store::Connections::Seal;

wire::IpsecConnection show(const Connection& connection) { return model::to_wire(connection); }

tl::unexpected<Error> refused(const char* field, std::string_view why) {
    return failed(
        Error{Code::Invalid, fmt::format("{}: {}", field, why), 0, fmt::format("/{}", field)});
}

// What is said at the creation, as a change of one of which nothing is said.
wire::IpsecConnectionUpdate change_of(const wire::IpsecConnectionCreate& body) {
    wire::IpsecConnectionUpdate change;
    change.name = body.name;
    change.remote_addresses = body.remote_addresses;
    change.remote_identity = body.remote_identity;
    change.remote_ca = body.remote_ca;
    change.local_subnets = body.local_subnets;
    change.remote_subnets = body.remote_subnets;
    change.ike_proposals = body.ike_proposals;
    change.esp_proposals = body.esp_proposals;
    change.start = body.start;
    change.dpd_seconds = body.dpd_seconds;
    change.rekey_seconds = body.rekey_seconds;
    change.enabled = body.enabled;
    return change;
}

// One certificate and nothing else: a key that somebody took for it does not get into the database.
Result<void> check_certificate(const std::string& pem) {
    constexpr std::string_view kBegin = "-----BEGIN ", kCertificate = "-----BEGIN CERTIFICATE-----";
    const auto chain = pki::split_chain(pem);
    const bool is_one = chain && chain->size() == 1 && pem.starts_with(kCertificate) &&
                        pem.find(kBegin, 1) == std::string::npos;
    if (is_one) return {};
    return refused("remoteCa", "must be one certificate in PEM, and nothing else");
}

Result<void> read_prefixes(const std::optional<std::vector<std::string>>& texts, const char* field,
                           std::vector<Prefix>& out) {
    if (!texts) return {};
    auto prefixes = model::parse_prefixes(field, *texts);
    if (!prefixes) return failed(prefixes.error());
    out = std::move(*prefixes);
    return {};
}

Result<Connection> with(Connection connection, const wire::IpsecConnectionUpdate& change) {
    if (change.remote_addresses) {
        auto addresses = model::parse_addresses("remoteAddresses", *change.remote_addresses);
        if (!addresses) return failed(addresses.error());
        connection.remote_addresses = std::move(*addresses);
    }
    auto read = read_prefixes(change.local_subnets, "localSubnets", connection.local_subnets);
    if (read)
        read = read_prefixes(change.remote_subnets, "remoteSubnets", connection.remote_subnets);
    if (read && change.remote_ca && !change.remote_ca->empty())
        read = check_certificate(*change.remote_ca);
    if (!read) return failed(read.error());
    connection.name = change.name.value_or(connection.name);
    connection.remote_identity = change.remote_identity.value_or(connection.remote_identity);
    connection.remote_ca = change.remote_ca.value_or(connection.remote_ca);
    connection.ike_proposals = change.ike_proposals.value_or(connection.ike_proposals);
    connection.esp_proposals = change.esp_proposals.value_or(connection.esp_proposals);
    connection.start = change.start.value_or(connection.start);
    if (change.dpd_seconds) connection.dpd = std::chrono::seconds(*change.dpd_seconds);
    if (change.rekey_seconds) connection.rekey = std::chrono::seconds(*change.rekey_seconds);
    connection.enabled = change.enabled.value_or(connection.enabled);
    return connection;
}

// Of one secret of one connection: sealed bytes that are put into another row are none. An Ed25519
// signature is the same for the same message, and nobody makes it without the tenant's key file.
struct SealKey {
    Bytes bytes;
    SealKey(const pki::TenantKeys& keys, const std::string& connection_id, int64_t number) {
        Bytes signature = keys.map.sign(
            as_bytes(fmt::format("cvlan-ipsec-secret-1 {} {}", connection_id, number)));
        bytes = sha256(signature);
        OPENSSL_cleanse(signature.data(), signature.size());
    }
    SealKey(const SealKey&) = delete;
    SealKey& operator=(const SealKey&) = delete;
    ~SealKey() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

// Takes the secret out of the request. Null where there is none in it.
Result<Seal> read_secret(Context& context, const std::string& tenant_id,
                         std::optional<Bytes>& given) {
    if (!given) return Seal();
    const auto secret =
        std::make_shared<const SecretText>(std::string(given->begin(), given->end()));
    OPENSSL_cleanse(given->data(), given->size());
    const size_t size = secret->reveal().size();
    if (size < model::kShortestSecret || size > model::kLongestSecret)
        return refused("secret", fmt::format("must be {} to {} bytes", model::kShortestSecret,
                                             model::kLongestSecret));
    auto keys = context.keys.of(tenant_id);
    if (!keys) return failed(keys.error());
    return Seal([keys = *keys, secret](const Connection& connection) {
        const SealKey key(*keys, connection.id, connection.secret_revision);
        return base64(seal(key.bytes, as_bytes(secret->reveal())));
    });
}

Result<Connection> find(const Call& call, const AdminIdentity& who) {
    auto scope = scope_of(who, call.query);
    if (!scope) return failed(scope.error());
    return call.store.connections().get(*scope, call.id);
}

void note(const Call& call, const Connection& connection, const char* change) {
    if (call.validate_only) return;
    log::info("api.connection_changed", {{"tenant", connection.tenant_id},
                                         {"connection", connection.id},
                                         {"name", connection.name},
                                         {"change", change}});
}

}  // namespace

http::Response list_connections(Context&, const Call& call, const AdminIdentity& who) {
    auto filter = read_filter(call.query, who);
    if (!filter) return error_response(filter.error(), call.request.request_id);
    return page_response(call, call.store.connections().list(*filter),
                         &wire::IpsecConnectionList::ipsec_connections, show);
}

http::Response create_connection(Context& context, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::IpsecConnectionCreate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto tenant_id = read_tenant(who, body->tenant_id);
    if (!tenant_id) return error_response(tenant_id.error(), call.request.request_id);
    Connection wanted;
    wanted.tenant_id = *tenant_id;
    wanted.network_id = body->network_id;
    wanted.auth = body->auth;
    auto connection = with(std::move(wanted), change_of(*body));
    if (!connection) return error_response(connection.error(), call.request.request_id);
    auto seal = read_secret(context, *tenant_id, body->secret);
    if (!seal) return error_response(seal.error(), call.request.request_id);
    auto made =
        call.store.connections().create(*connection, context.authority->trust_domain(), *seal);
    if (made) note(call, *made, "create");
    return object_response(call, 201, made, show);
}

http::Response get_connection(Context&, const Call& call, const AdminIdentity& who) {
    return object_response(call, 200, find(call, who), show);
}

http::Response update_connection(Context& context, const Call& call, const AdminIdentity& who) {
    auto body = model::decode<wire::IpsecConnectionUpdate>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    auto old = find(call, who);
    if (!old) return error_response(old.error(), call.request.request_id);
    const std::string tenant_id = old->tenant_id;
    auto wanted = with(std::move(*old), *body);
    if (!wanted) return error_response(wanted.error(), call.request.request_id);
    auto seal = read_secret(context, tenant_id, body->secret);
    if (!seal) return error_response(seal.error(), call.request.request_id);
    auto changed = call.store.connections().update(*wanted, *seal);
    if (changed) note(call, *changed, "update");
    return object_response(call, 200, changed, show);
}

http::Response delete_connection(Context&, const Call& call, const AdminIdentity& who) {
    auto old = find(call, who);
    if (!old) return error_response(old.error(), call.request.request_id);
    auto gone = call.store.connections().remove({old->tenant_id, old->id});
    if (gone) note(call, *old, "delete");
    return gone_response(call, gone);
}

// One that can not be read keeps no other away: its connection stays down.
http::Response node_ipsec_secrets(Context& context, const Call& call, const NodeIdentity& who) {
    auto sealed = call.store.connections().secrets_of(who.key());
    if (!sealed) return error_response(sealed.error(), call.request.request_id);
    auto keys = context.keys.of(who.tenant_id);
    if (!keys) return error_response(keys.error(), call.request.request_id);
    wire::IpsecSecrets answer;
    for (const store::SealedSecret& one : *sealed) {
        const auto bytes = from_base64(one.sealed);
        const SealKey key(**keys, one.connection_id, one.secret_revision);
        auto text = bytes ? unseal(key.bytes, *bytes) : failed(bytes.error());
        if (!text) {
            log::error("api.secret_unreadable", {{"tenant", who.tenant_id},
                                                 {"connection", one.connection_id},
                                                 {"reason", text.error().message}});
            continue;
        }
        const SecretText secret(std::move(*text));
        const auto secret_bytes = as_bytes(secret.reveal());
        answer.secrets.push_back({one.connection_id, one.secret_revision,
                                  Bytes(secret_bytes.begin(), secret_bytes.end())});
    }
    auto response = json_response(200, answer);
    response.headers.push_back({"Cache-Control", "no-store"});
    for (wire::IpsecSecret& one : answer.secrets)
        OPENSSL_cleanse(one.secret.data(), one.secret.size());
    return response;
}

}  // namespace cvlan::api
