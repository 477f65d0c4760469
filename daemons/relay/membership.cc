// SPDX-License-Identifier: Apache-2.0
#include "daemons/relay/membership.h"

#include <algorithm>

#include "base/log.h"
#include "base/version.h"
#include "daemons/relay/enrolment.h"
#include "http/origin.h"
#include "pki/csr.h"

namespace cvlan::relayd {

using namespace std::chrono_literals;

namespace {

constexpr auto kHeldPoll = 50s;
constexpr auto kRefusedPause = 5min;
constexpr auto kRenewalPause = 30min;

uint32_t seed_of(const std::string& node_id) {
    const Bytes hash = sha256(as_bytes(node_id));
    return static_cast<uint32_t>(hash[0] << 24 | hash[1] << 16 | hash[2] << 8 | hash[3]);
}

Result<void> verify(const wire::SignedBytes& bytes, const std::vector<pki::VerifyKey>& keys) {
    const auto key = std::find_if(keys.begin(), keys.end(),
                                  [&](const auto& known) { return known.kid() == bytes.kid; });
    if (key == keys.end() || !key->verify(bytes.payload, bytes.signature))
        return fail(Code::Denied, "the map is not signed by the tenant's key");
    return {};
}

std::string code_of(const http::Response& answer) {
    auto problem = model::decode<wire::Problem>(answer.body, model::kDocument);
    return problem ? printable(problem->code) : fmt::format("{}", answer.status);
}

}  // namespace

Membership::Membership(EventLoop& loop, const Clock& clock, const StateDir& dir, Identity identity,
                       std::function<void()> on_change)
    : loop_(loop),
      clock_(clock),
      dir_(dir),
      identity_(std::move(identity)),
      on_change_(std::move(on_change)),
      backoff_(seed_of(identity_.node_id())) {}

void Membership::start() {
    auto saved = dir_.load_map(tenant_id());
    auto map = saved ? read(*saved) : failed(saved.error());
    if (map)
        map_ = std::move(*map);
    else if (map.error().code != Code::NotFound)
        log::warn("relay.map_refused", {{"tenant", tenant_id()}, {"error", map.error().message}});
    poll_after(0ms);
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

Result<http::Client*> Membership::client(std::unique_ptr<http::Client>& which) {
    if (which) return which.get();
    const auto& urls = identity_.kept.session;
    if (urls.empty()) return fail(Code::Invalid, "no URL of a controller");
    auto origin = http::parse_origin(urls[url_ % urls.size()]);
    if (!origin) return failed(origin.error());
    http::ClientOptions options;
    options.host = origin->host;
    options.port = origin->port;
    options.trust.ca_pem = identity_.trust_pem();
    options.certificate_pem = identity_.kept.certificate.value_or("");
    options.private_key_pem = SecretText(identity_.kept.tls_key);
    auto opened = http::Client::open(loop_, std::move(options));
    if (!opened) return failed(opened.error());
    which = std::move(*opened);
    return which.get();
}

void Membership::forget_clients() {
    // One of them may be calling.
    retired_ = std::move(held_);
    small_.reset();
    is_renewing_ = false;
}

void Membership::poll_after(std::chrono::milliseconds delay) {
    next_ = loop_.after(delay, [this] { poll(); });
}

// The first question after a silence, and one for a full map, are answered at once.
void Membership::poll() {
    retired_.reset();
    const bool asks_full = wants_full_ || !map_;
    const auto wait = asks_full || !is_reached_ ? 0s : std::chrono::seconds(kHeldPoll);
    auto asked = client(held_);
    if (!asked) return answered(failed(asked.error()));
    http::ClientRequest request;
    request.target =
        fmt::format("/api/v1/node/map?wait={}&protocolVersion={}", wait.count(), kProtocolVersion);
    if (!asks_full) request.target += fmt::format("&since={}.{}", map_->epoch, map_->revision);
    request.timeout = wait + 20s;
    (*asked)->request(std::move(request),
                      [this](Result<http::Response> answer) { answered(std::move(answer)); });
}

void Membership::answered(Result<http::Response> answer) {
    if (!answer) {
        if (trouble_ != answer.error().message)
            log::warn("relay.controller_unreachable",
                      {{"tenant", tenant_id()}, {"error", answer.error().message}});
        trouble_ = answer.error().message;
        is_reached_ = false;
        ++url_;
        forget_clients();
        return poll_after(backoff_.next());
    }
    if (answer->status >= 400) return refused(*answer);
    if (!std::exchange(is_reached_, true))
        log::info("relay.controller_reached", {{"tenant", tenant_id()}});
    trouble_.clear();
    if (std::exchange(is_refused_, false)) on_change_();
    renew_if_due();
    if (answer->status != 200) return poll_after(0ms);
    auto map = model::decode<wire::NodeMap>(answer->body, model::kDocument);
    auto taken = map ? take(*map) : failed(map.error());
    if (!taken)
        log::warn("relay.map_refused", {{"tenant", tenant_id()}, {"error", taken.error().message}});
    if (!taken) return poll_after(backoff_.next());
    backoff_.reset();
    poll_after(0ms);
}

void Membership::refused(const http::Response& answer) {
    const std::string code = code_of(answer);
    const bool is_final = code == "NODE_EXPIRED" || code == "NODE_REVOKED" ||
                          code == "NODE_DELETED" || code == "NODE_UNKNOWN";
    is_reached_ = false;
    if (trouble_ != code) {
        if (is_final)
            log::error("relay.node_refused", {{"tenant", tenant_id()}, {"code", code}});
        else
            log::warn("relay.controller_unreachable", {{"tenant", tenant_id()}, {"error", code}});
    }
    trouble_ = code;
    if (is_final && !std::exchange(is_refused_, true)) on_change_();
    poll_after(is_final ? std::chrono::milliseconds(kRefusedPause) : backoff_.next());
}

// A delta only says that there is something new: a relay's map is small, and asked for whole.
Result<bool> Membership::take(const wire::NodeMap& answer) {
    if (answer.kind == wire::MapKind::Delta) {
        wants_full_ = true;
        return false;
    }
    auto map = read(answer);
    if (!map) return failed(map.error());
    const bool is_older = map_ && (map->epoch < map_->epoch ||
                                   (map->epoch == map_->epoch && map->revision < map_->revision));
    if (is_older) return fail(Code::Denied, "the map is older than the one which is here");
    wants_full_ = false;
    const bool is_new = !map_ || map->epoch != map_->epoch || map->revision != map_->revision;
    if (is_new) {
        if (auto saved = dir_.save_map(tenant_id(), answer); !saved)
            log::error("relay.state_not_saved", {{"error", saved.error().message}});
        log::info("relay.map", {{"tenant", tenant_id()},
                                {"revision", fmt::format("{}.{}", map->epoch, map->revision)},
                                {"barred", map->barred.size()}});
    }
    map_ = std::move(*map);
    if (is_new) on_change_();
    return is_new;
}

Result<model::RelayMap> Membership::read(const wire::NodeMap& answer) const {
    auto keys = identity_.map_keys();
    if (!keys) return failed(keys.error());
    if (!answer.head) return fail(Code::Malformed, "a full map without a head");
    if (auto good = verify(*answer.head, *keys); !good) return failed(good.error());
    auto head = model::decode<wire::MapHead>(as_text(answer.head->payload), model::kDocument);
    if (!head) return failed(head.error().while_doing("head"));
    if (head->tenant_id != tenant_id() || head->node_id != identity_.node_id())
        return fail(Code::Denied, "the map is of another node");
    if (head->epoch != answer.epoch || head->revision > answer.revision)
        return fail(Code::Denied, "the map's head does not belong to it");
    std::vector<wire::MapFragment> fragments;
    for (const wire::SignedBytes& bytes : answer.fragments) {
        if (auto good = verify(bytes, *keys); !good) return failed(good.error());
        auto fragment = model::decode<wire::MapFragment>(as_text(bytes.payload), model::kDocument);
        // One that a newer controller writes for newer relays spoils nothing.
        if (fragment) fragments.push_back(std::move(*fragment));
    }
    return model::build_relay_map(*head, fragments, answer.revision);
}

void Membership::renew_if_due() {
    const BootTime now = clock_.since_boot();
    if (is_renewing_ || now < renewal_not_before_ || !is_renewal_due(identity_, clock_.now()))
        return;
    renewal_not_before_ = now + kRenewalPause;
    if (!identity_.kept.next_tls_key) {
        auto key = pki::TlsKey::generate();
        auto pem = key ? key->to_pem() : failed(key.error());
        if (!pem) return;
        identity_.kept.next_tls_key = pem->reveal();
        if (auto saved = dir_.save_identity(identity_); !saved) return;
    }
    auto key = pki::TlsKey::from_pem(SecretText(*identity_.kept.next_tls_key));
    auto csr = key ? pki::create_csr(*key) : failed(key.error());
    auto asked = client(small_);
    if (!csr || !asked) return;
    is_renewing_ = true;
    http::ClientRequest request{"POST",
                                "/api/v1/node/certificate",
                                {{"Content-Type", "application/json"}},
                                encode(wire::RenewRequest{*csr})};
    (*asked)->request(std::move(request),
                      [this](Result<http::Response> answer) { renewed(std::move(answer)); });
}

void Membership::renewed(Result<http::Response> answer) {
    is_renewing_ = false;
    Identity before;  // wiped, whichever of the two it is in the end
    before.kept = identity_.kept;
    Result<void> taken;
    if (!answer || answer->status >= 400) {
        taken = answer ? fail(Code::Unavailable, "{}", code_of(*answer)) : failed(answer.error());
    } else {
        auto renewal = model::decode<wire::Renewal>(answer->body, model::kDocument);
        taken = renewal ? accept_renewal(identity_, *renewal) : failed(renewal.error());
    }
    // With its first use the controller forgets the old one: never before it is on the disk.
    if (taken) taken = dir_.save_identity(identity_);
    if (!taken) {
        std::swap(identity_.kept, before.kept);
        log::warn("relay.renewal_failed",
                  {{"tenant", tenant_id()}, {"error", taken.error().message}});
        return;
    }
    log::info("relay.certificate_renewed", {{"tenant", tenant_id()}});
    // The connections were made with the old one; this one is calling.
    next_ = loop_.after(0ms, [this] {
        forget_clients();
        poll_after(0ms);
    });
    on_change_();
}

}  // namespace cvlan::relayd
