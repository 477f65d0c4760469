// SPDX-License-Identifier: Apache-2.0
#include "api/enrol.h"

#include "api/convert.h"
#include "api/error.h"
#include "api/token_work.h"
#include "base/log.h"
#include "base/version.h"
#include "pki/token.h"

namespace cvlan::api {

namespace wire = model::wire;

namespace {

// Somebody who tries to come in. What the token says stands here once its signature is found good.
struct Attempt {
    Context& context;
    const Call& call;
    const std::string& text;           // the token, whoever made it
    const std::string* csr = nullptr;  // of who has no certificate yet
    std::string node{};                // that joins a further network
    std::string tenant{};
    std::string token{};    // its id
    bool has_form = false;  // of a token
    TokenWork done{};
};

void count(Context& context, const std::string& outcome) {
    context.metrics->enrolments.with({outcome}).add();
}

bool is_of_token(const std::string& reason) {
    return reason == model::kTokenInvalid || reason == model::kTokenExpired ||
           reason == model::kTokenRevoked || reason == model::kTokenSpent;
}

// One answer for all that no key of ours made, and one for all that a key of ours made: which it
// was, and why, is in the audit and the log.
http::Response refuse_token(Attempt& attempt, const Error& error) {
    const std::string& request_id = attempt.call.request.request_id;
    const auto transact = [&](const store::Joining& nobody) {
        if (!attempt.csr) return (void)attempt.call.store.join(attempt.node, nobody);
        (void)attempt.call.store.enrol({nobody, {}, {}, {}}, {});
    };
    level_all(attempt.context, attempt.text, attempt.csr, transact, attempt.done);
    if (attempt.call.who) attempt.call.who->outcome = error.reason;
    if (error.reason == model::kTokenInvalid)
        return refusal(401, error.reason, "token is not of this controller, or not all of one",
                       request_id);
    return refusal(410, kTokenGone,
                   "token has expired, was revoked or is used up: ask for a new one", request_id);
}

// Answers why somebody may not come in. A refusal of the token or of a key, which has a reason,
// goes to the log (F21), without the token, and of each reason no more than one a minute.
http::Response refuse(Attempt& attempt, const Error& error) {
    const http::Request& request = attempt.call.request;
    count(attempt.context, error.reason.empty() ? "REFUSED" : error.reason);
    if (error.reason.empty()) return error_response(error, request.request_id);
    if (const auto left_out = attempt.context.warnings->due("enrolment_refused " + error.reason))
        log::warn("api.enrolment_refused", {{"peer", request.peer.address.text()},
                                            {"request", request.request_id},
                                            {"tenant", attempt.tenant},
                                            {"token", attempt.token},
                                            {"node", attempt.node},
                                            {"code", error.reason},
                                            {"reason", error.message},
                                            {"left_out", *left_out}});
    if (is_of_token(error.reason)) return refuse_token(attempt, error);
    return error_response(error, request.request_id);
}

// Whether a key of its tenant signed it: the one here, or one that makes tokens offline. NotFound
// where the tenant has no such key.
Result<void> check_signature(Attempt& attempt, const pki::UnverifiedToken& token) {
    Context& context = attempt.context;
    const model::TokenClaims& claims = token.claims;
    const auto verify = [&](const pki::VerifyKey& key) {
        return context.verified_tokens->verify(attempt.text, token, key, context.clock.now(),
                                               attempt.done.signatures);
    };
    auto keys = context.keys.of(claims.tenant_id);
    if (!keys) return failed(keys.error());
    const pki::VerifyKey& own = (*keys)->token.public_key();
    if (claims.kid == own.kid()) return verify(own);
    ++attempt.done.key_reads;
    auto offline = context.store.token_key_of(claims.tenant_id, claims.kid);
    if (!offline) return failed(offline.error());
    auto key = pki::VerifyKey::from_base64(offline->public_key);
    if (!key) return failed(key.error());
    return verify(*key);
}

// The claims of a token that a key of its tenant signed and that is in time.
Result<model::TokenClaims> verified(Attempt& attempt) {
    auto token = pki::parse_token(attempt.text);
    if (!token) return fail_as(model::kTokenInvalid, Code::Denied, token.error().message);
    attempt.has_form = true;
    auto good = check_signature(attempt, *token);
    if (!good && good.error().code == Code::NotFound)
        good = fail_as(model::kTokenInvalid, Code::Denied, "token is not of this controller");
    if (good || good.error().reason == model::kTokenExpired) {
        attempt.tenant = token->claims.tenant_id;
        attempt.token = token->claims.id;
        if (attempt.call.who) *attempt.call.who = {"token:" + attempt.token, attempt.tenant};
    }
    if (!good) return failed(good.error());
    return token->claims;
}

struct JoinInputs {
    const std::optional<std::string>& wireguard_key;
    uint16_t listen_port;
    const std::vector<std::string>& endpoints;
};

Result<store::Joining> read_joining(Attempt& attempt, const JoinInputs& inputs) {
    auto claims = verified(attempt);
    if (!claims) return failed(claims.error());
    if (claims->role == model::TokenRole::Relay && inputs.wireguard_key)
        return failed(
            Error{Code::Invalid, "wireguardPublicKey: a relay has none", 0, "/wireguardPublicKey"});
    // It is in no network, and others find it by the object that names it.
    if (claims->role == model::TokenRole::Relay) return store::Joining{*claims, "", 0, {}};
    if (!inputs.wireguard_key)
        return failed(
            Error{Code::Invalid, "wireguardPublicKey: is required", 0, "/wireguardPublicKey"});
    if (auto key = check_wireguard_key(*inputs.wireguard_key); !key) return failed(key.error());
    auto endpoints = read_endpoints(inputs.endpoints);
    if (!endpoints) return failed(endpoints.error());
    add_observed(*endpoints, attempt.call.request.peer, inputs.listen_port);
    return store::Joining{*claims, *inputs.wireguard_key, inputs.listen_port,
                          std::move(*endpoints)};
}

wire::Enrolment welcome(Context& context, const store::Enrolled& enrolled,
                        const pki::TenantKeys& keys) {
    wire::Enrolment answer;
    answer.node_id = enrolled.node.id;
    answer.tenant_id = enrolled.node.tenant_id;
    answer.name = enrolled.node.name;
    answer.trust_domain = context.authority->trust_domain();
    answer.trust_bundle = context.authority->trust_bundle();
    answer.map_keys = map_keys(keys);
    answer.session = context.settings.session_urls;
    answer.registration = context.settings.registration_urls;
    if (enrolled.node.role != model::TokenRole::Relay)
        answer.membership = to_wire(enrolled.membership);
    return answer;
}

// F22: a request that was copied, or made for another token or WireGuard key, proves nothing here.
Result<pki::Csr> read_csr(const std::string& pem, const store::Joining& joining) {
    auto csr = pki::Csr::parse(pem);
    if (!csr) {
        Error error = csr.error().while_doing("csr");
        error.pointer = "/csr";
        return failed(std::move(error));
    }
    const auto key = from_base64(joining.wireguard_key);
    if (!key) return failed(key.error());
    if (csr->common_name() != pki::enrolment_binding(joining.token, *key))
        return failed(
            Error{Code::Invalid,
                  "csr: was not made for this token and this WireGuard key: its CN must be "
                  "the SHA-256 of the token's nonce and the key",
                  0, "/csr", "CSR_NOT_BOUND"});
    return csr;
}

http::Response enrol_checked(Attempt& attempt, const wire::EnrolRequest& body,
                             store::Joining joining) {
    Context& context = attempt.context;
    const std::string& request_id = attempt.call.request.request_id;
    ++attempt.done.requests;
    auto csr = read_csr(body.csr, joining);
    if (!csr) return refuse(attempt, csr.error());
    auto keys = context.keys.of(joining.token.tenant_id);
    if (!keys) return error_response(keys.error(), request_id);

    const model::TokenRole role = joining.token.role;
    store::Enrolment request{std::move(joining), csr->key_hash(), body.name.value_or(""),
                             from_wire(body.inventory.value_or(wire::Inventory{}))};
    // Signed inside the transaction, because only there the node has its id: two racing agents get
    // one certificate.
    pki::IssuedCertificate issued;
    const auto issue = [&](const store::Key& node) -> Result<store::CertificateRow> {
        auto made = context.authority->issue_node(*csr, {node.tenant_id, node.id, role},
                                                  context.clock.now());
        if (!made) return failed(made.error());
        issued = std::move(*made);
        return store::CertificateRow{issued.serial, issued.not_after};
    };
    // Who enrols is known by its token alone.
    const auto& asked = attempt.call.request;
    const auto store =
        context.store.as({"token:" + attempt.token, asked.peer.address.text(), asked.request_id});
    ++attempt.done.transactions;
    auto enrolled = store->enrol(request, issue);
    if (!enrolled) return refuse(attempt, enrolled.error());
    count(context, enrolled->is_new ? "ENROLLED" : "ENROLLED_AGAIN");
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
    auto body = model::decode<wire::EnrolRequest>(request.body);
    if (!body) return error_response(body.error(), request.request_id);
    if (body->protocol_version > kProtocolVersion)
        return refusal(400, "PROTOCOL_VERSION",
                       fmt::format("protocolVersion {} is newer than this controller's {}",
                                   body->protocol_version, kProtocolVersion),
                       request.request_id);
    const auto port = static_cast<uint16_t>(body->listen_port.value_or(0));
    Attempt attempt{context, call, body->token, &body->csr};
    auto joining = read_joining(attempt, {body->wireguard_public_key, port, body->endpoints});
    if (joining) return enrol_checked(attempt, *body, std::move(*joining));
    // Only guesses count, and only guesses are held back: a token of ours, whatever has become of
    // it, passes where somebody else guesses from behind the same address.
    if (joining.error().reason != model::kTokenInvalid) return refuse(attempt, joining.error());
    if (context.failed_enrolments.is_exhausted(request.peer.address)) {
        count(context, "TOO_MANY_FAILURES");
        // Who sent what is no token knows that already.
        if (attempt.has_form) level_checks(context, attempt.text, attempt.done);
        auto response = refusal(429, "TOO_MANY_FAILURES",
                                "too many refused tokens from this address; try again in a minute",
                                request.request_id);
        response.headers.push_back({"Retry-After", "60"});
        return response;
    }
    context.failed_enrolments.count(request.peer.address);
    return refuse(attempt, joining.error());
}

http::Response join_network(Context& context, const Call& call, const NodeIdentity& who) {
    auto body = model::decode<wire::JoinRequest>(call.request.body);
    if (!body) return error_response(body.error(), call.request.request_id);
    const auto port = static_cast<uint16_t>(body->listen_port.value_or(0));
    Attempt attempt{context, call, body->token, nullptr, who.node_id};
    auto joining = read_joining(attempt, {body->wireguard_public_key, port, body->endpoints});
    if (joining && joining->token.tenant_id != who.tenant_id)
        joining = fail_as(model::kTokenInvalid, Code::Denied, "token is of another tenant");
    if (!joining) return refuse(attempt, joining.error());
    ++attempt.done.transactions;
    auto joined = call.store.join(who.node_id, *joining);
    if (!joined) return refuse(attempt, joined.error());
    count(context, "JOINED");
    log::info("api.node_joined",
              {{"tenant", who.tenant_id}, {"node", who.node_id}, {"network", joined->network.id}});
    return json_response(201, to_wire(joined->membership));
}

}  // namespace cvlan::api
