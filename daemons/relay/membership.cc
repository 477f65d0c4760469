// SPDX-License-Identifier: Apache-2.0
#include "daemons/relay/membership.h"

#include "base/log.h"

namespace cvlan::relayd {

using namespace std::chrono_literals;

namespace {

std::vector<pki::VerifyKey> keys_of(const Identity& identity) {
    auto keys = identity.map_keys();
    return keys ? std::move(*keys) : std::vector<pki::VerifyKey>();
}

}  // namespace

Membership::Membership(EventLoop& loop, const Clock& clock, const StateDir& dir, Identity identity,
                       std::function<void()> on_change)
    : loop_(loop),
      dir_(dir),
      identity_(std::move(identity)),
      on_change_(std::move(on_change)),
      signed_(dir_.folder_of(tenant_id()), {tenant_id(), identity_.node_id()}, keys_of(identity_)),
      renewal_(clock, identity_,
               {[this] { return dir_.save_identity(identity_); }, [this] { renewed(); },
                [this](const Error& error) {
                    log::warn("relay.renewal_failed",
                              {{"tenant", tenant_id()}, {"error", error.message}});
                }}) {}

void Membership::start() {
    auto loaded = signed_.load();
    if (loaded)
        build();
    else if (loaded.error().code != Code::NotFound)
        log::warn("relay.map_refused",
                  {{"tenant", tenant_id()}, {"error", loaded.error().message}});
    open_session();
}

void Membership::open_session() {
    enrolee::SessionEvents events;
    events.since = [this] { return wants_full_ ? std::string() : signed_.since(); };
    events.on_map = [this](const wire::NodeMap& answer) { return took(answer); };
    events.on_time = [](WallTime) {};
    events.on_confirmed = [this] { reached(); };
    events.on_failure = [this](const enrolee::Refusal& refusal) { failed_with(refusal); };
    // The session may be the one that calls us: it goes when the loop is back.
    if (session_) ended_ = std::move(session_);
    burial_ = loop_.after(0ms, [this] { ended_.reset(); });
    renewal_.forget();
    session_ = std::make_unique<enrolee::Session>(loop_, enrolee::Session::setup_of(identity_),
                                                  std::move(events));
    session_->start();
}

std::optional<relay::TenantTrust> Membership::trust() const {
    auto keys = identity_.map_keys();
    // Without a map, who is barred is not known.
    if (!keys || is_refused_ || !map_) return std::nullopt;
    relay::TenantTrust made{tenant_id(), identity_.kept.trust_domain.value_or(""), server_name(),
                            std::move(*keys)};
    for (const auto& [who, until] : map_->barred)
        made.barred.push_back({who.first, who.second, until});
    return made;
}

http::TlsServerOptions Membership::tls() const {
    http::TlsServerOptions options;
    options.certificate_chain_pem = identity_.kept.certificate.value_or("");
    options.private_key_pem = SecretText(identity_.kept.tls_key);
    options.client_ca_pem = {identity_.trust_pem()};
    options.client_cert = http::ClientCert::Required;
    // Its own issuer, in the chain: most nodes have the same and need not send it.
    options.client_intermediate_pem = options.certificate_chain_pem;
    return options;
}

const model::MapRelay* Membership::own_relay() const {
    if (!map_) return nullptr;
    for (const auto& [id, relay] : map_->relays)
        if (relay.node_id == identity_.node_id()) return &relay;
    return nullptr;
}

void Membership::build() {
    map_ = model::build_relay_map(*signed_.head(), signed_.fragments(), signed_.revision());
}

bool Membership::took(const wire::NodeMap& answer) {
    const bool asked_full = wants_full_;
    auto taken = signed_.take(answer);
    if (!taken) {
        log::warn("relay.map_refused", {{"tenant", tenant_id()}, {"error", taken.error().message}});
        wants_full_ = wants_full_ || taken.error().code == Code::Conflict;
        return false;
    }
    wants_full_ = false;
    if (!*taken) return asked_full;
    build();
    if (auto saved = signed_.save(); !saved)
        log::error("relay.state_not_saved", {{"error", saved.error().message}});
    log::info(
        "relay.map",
        {{"tenant", tenant_id()}, {"revision", signed_.since()}, {"barred", map_->barred.size()}});
    on_change_();
    return true;
}

void Membership::reached() {
    if (!std::exchange(is_reached_, true))
        log::info("relay.controller_reached", {{"tenant", tenant_id()}});
    trouble_.clear();
    if (std::exchange(is_refused_, false)) on_change_();
    renewal_.ask_if_due(*session_);
}

void Membership::failed_with(const enrolee::Refusal& refusal) {
    const bool is_final = enrolee::refused_of(refusal) != enrolee::Refused::No;
    const std::string& why = refusal.code.empty() ? refusal.error.message : refusal.code;
    is_reached_ = false;
    if (trouble_ != why) {
        if (is_final)
            log::error("relay.node_refused", {{"tenant", tenant_id()}, {"code", why}});
        else
            log::warn("relay.controller_unreachable", {{"tenant", tenant_id()}, {"error", why}});
    }
    trouble_ = why;
    if (is_final && !std::exchange(is_refused_, true)) on_change_();
}

void Membership::renewed() {
    log::info("relay.certificate_renewed", {{"tenant", tenant_id()}});
    signed_.set_keys(keys_of(identity_));
    open_session();
    on_change_();
}

}  // namespace cvlan::relayd
