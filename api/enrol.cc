// SPDX-License-Identifier: Apache-2.0
#include "api/enrol.h"

#include "api/convert.h"
#include "api/error.h"
#include "base/log.h"
#include "base/version.h"
#include "pki/token.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

// A refused token, with the code that tells the agent which way it was wrong.
http::Response token_refusal(const Error& error, std::string_view request_id) {
    if (error.code == Code::Gone) {
        const bool is_expired = error.message.find("expired") != std::string::npos;
        const bool is_revoked = error.message.find("revoked") != std::string::npos;
        return refusal(410,
                       is_expired   ? "TOKEN_EXPIRED"
                       : is_revoked ? "TOKEN_REVOKED"
                                    : "TOKEN_SPENT",
                       error.message, request_id);
    }
    return error_response(error, request_id);
}

// The claims of a token that this controller's tenant key signed and that is in time.
Result<model::TokenClaims> verified(Context& context, const std::string& text) {
    auto token = pki::parse_token(text);
    if (!token) return failed(Error{Code::Denied, token.error().message});
    auto keys = context.keys.of(token->claims.tenant_id);
    if (!keys && keys.error().code != Code::NotFound) return failed(keys.error());
    if (!keys || token->claims.kid != (*keys)->token.kid())
        return fail(Code::Denied, "token is not of this controller");
    auto good = pki::verify_token(*token, (*keys)->token.public_key(), context.clock.now());
    if (!good) return failed(good.error());
    return token->claims;
}

struct JoinInputs {
    const std::string& token;
    const std::string& wireguard_key;
    uint16_t listen_port;
    const std::vector<std::string>& endpoints;
};

Result<store::Joining> read_joining(Context& context, const Call& call, const JoinInputs& inputs) {
    auto claims = verified(context, inputs.token);
    if (!claims) return failed(claims.error());
    if (auto key = check_wireguard_key(inputs.wireguard_key); !key) return failed(key.error());
    auto network = context.store.network(claims->tenant_id, claims->network_id);
    if (!network) return fail(Code::Gone, "token was revoked: its network is gone");
    auto endpoints = read_endpoints(inputs.endpoints, *network);
    if (!endpoints) return failed(endpoints.error());
    add_observed(*endpoints, call.request.peer, inputs.listen_port, *network);
    return store::Joining{*claims, inputs.wireguard_key, inputs.listen_port, std::move(*endpoints)};
}

wire::Enrolment welcome(Context& context, const store::Enrolled& enrolled,
                        const pki::TenantKeys& keys) {
    wire::Enrolment answer;
    answer.node_id = enrolled.node.id;
    answer.tenant_id = enrolled.node.tenant_id;
    answer.name = enrolled.node.name;
    answer.trust_domain = context.authority.trust_domain();
    answer.trust_bundle = context.authority.trust_bundle();
    answer.map_keys = map_keys(keys);
    answer.session = context.settings.session_urls;
    answer.registration = context.settings.registration_urls;
    answer.membership = to_wire(enrolled.membership, enrolled.network.name);
    return answer;
}

http::Response enrol_checked(Context& context, const Call& call, const wire::EnrolRequest& body,
                             store::Joining joining) {
    auto csr = pki::Csr::parse(body.csr);
    if (!csr) {
        Error error = csr.error().while_doing("csr");
        error.pointer = "/csr";
        return error_response(error, call.request.request_id);
    }
    auto keys = context.keys.of(joining.token.tenant_id);
    if (!keys) return error_response(keys.error(), call.request.request_id);

    const model::TokenRole role = joining.token.role;
    store::Enrolment request{std::move(joining), csr->key_hash(), body.name.value_or(""),
                             from_wire(body.inventory.value_or(wire::Inventory{}))};
    // Signed inside the transaction, because only there the node has its id: two racing agents get
    // one certificate.
    pki::IssuedCertificate issued;
    const auto issue = [&](const store::Key& node) -> Result<store::CertificateRow> {
        auto made = context.authority.issue_node(*csr, {node.tenant_id, node.id, role},
                                                 context.clock.now());
        if (!made) return failed(made.error());
        issued = std::move(*made);
        return store::CertificateRow{issued.serial, issued.not_after};
    };
    auto enrolled = context.store.enrol(request, issue);
    if (!enrolled) return token_refusal(enrolled.error(), call.request.request_id);
    context.auth.forget(enrolled->node.id);
    log::info("api.node_enrolled", {{"tenant", enrolled->node.tenant_id},
                                    {"node", enrolled->node.id},
                                    {"name", enrolled->node.name},
                                    {"network", enrolled->network.id},
                                    {"new", enrolled->is_new}});
    auto answer = welcome(context, *enrolled, **keys);
    answer.certificate = issued.chain_pem;
    return json_response(201, answer);
}

}  // namespace

http::Response enrol_node(Context& context, const Call& call) {
    const auto& request = call.request;
    if (context.failed_enrolments.is_exhausted(request.peer.address)) {
        auto response = refusal(429, "TOO_MANY_FAILURES",
                                "too many refused tokens from this address; try again in a minute",
                                request.request_id);
        response.headers.push_back({"Retry-After", "60"});
        return response;
    }
    auto body = model::decode<wire::EnrolRequest>(request.body);
    if (!body) return error_response(body.error(), request.request_id);
    if (body->protocol_version > kProtocolVersion)
        return refusal(400, "PROTOCOL_VERSION",
                       fmt::format("protocolVersion {} is newer than this controller's {}",
                                   body->protocol_version, kProtocolVersion),
                       request.request_id);
    const auto port = static_cast<uint16_t>(body->listen_port.value_or(0));
    auto joining = read_joining(context, call,
                                {body->token, body->wireguard_public_key, port, body->endpoints});
    if (!joining && joining.error().code == Code::Denied) {
        // Only guesses count: a spent or expired token of ours was signed by us once.
        context.failed_enrolments.count(request.peer.address);
        log::warn("api.enrolment_refused", {{"peer", request.peer.address.text()},
                                            {"request", request.request_id},
                                            {"reason", joining.error().message}});
        return refusal(401, "TOKEN_INVALID", joining.error().message, request.request_id);
    }
    if (!joining) return token_refusal(joining.error(), request.request_id);
    return enrol_checked(context, call, *body, std::move(*joining));
}

http::Response join_network(Context& context, const Call& call, const NodeIdentity& who) {
    auto body = model::decode<wire::JoinRequest>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    const auto port = static_cast<uint16_t>(body->listen_port.value_or(0));
    auto joining = read_joining(context, call,
                                {body->token, body->wireguard_public_key, port, body->endpoints});
    if (joining && joining->token.tenant_id != who.tenant_id)
        joining = fail(Code::Denied, "token is of another tenant");
    if (!joining && joining.error().code == Code::Denied)
        return refusal(401, "TOKEN_INVALID", joining.error().message, call.request.request_id);
    if (!joining) return token_refusal(joining.error(), call.request.request_id);
    auto joined = context.store.join(who.node_id, *joining);
    if (!joined) return token_refusal(joined.error(), call.request.request_id);
    log::info("api.node_joined",
              {{"tenant", who.tenant_id}, {"node", who.node_id}, {"network", joined->network.id}});
    return json_response(201, to_wire(joined->membership, joined->network.name));
}

}  // namespace cvlan::api
