// SPDX-License-Identifier: Apache-2.0
#include "daemons/sim/node.h"

#include "base/version.h"
#include "http/origin.h"
#include "pki/csr.h"

namespace cvlan::sim {

namespace wire = model::wire;
using namespace std::chrono_literals;

namespace {

constexpr auto kHeldPoll = 50s;  // as the agent's
constexpr auto kPatience = 20s;

uint32_t seed() {
    const Bytes bytes = random_bytes(4);
    return static_cast<uint32_t>(bytes[0]) | static_cast<uint32_t>(bytes[1]) << 8 |
           static_cast<uint32_t>(bytes[2]) << 16 | static_cast<uint32_t>(bytes[3]) << 24;
}

std::string reason_of(const http::Response& response) {
    auto problem = model::decode<wire::Problem>(response.body, model::kDocument);
    return fmt::format("{} {}", response.status, problem ? problem->code : "");
}

http::ClientRequest json_request(const char* method, const char* target, std::string body) {
    http::ClientRequest request{
        method, target, {{"Content-Type", "application/json"}}, std::move(body)};
    request.timeout = kPatience;
    return request;
}

}  // namespace

Node::Node(World& world, size_t number) : world_(world), number_(number), backoff_(seed()) {}

Result<http::ClientOptions> Node::options_for(const std::string& url) const {
    auto origin = http::parse_origin(url);
    if (!origin) return failed(origin.error());
    http::ClientOptions options;
    options.host = origin->host;
    options.port = world_.server ? world_.server->port : origin->port;
    if (world_.server) options.addresses = {world_.server->address};
    options.body_bytes = 64u << 20;
    return options;
}

Result<std::unique_ptr<http::Client>> Node::open_session() {
    auto options = options_for(identity_->session.front());
    if (!options) return failed(options.error());
    if (!tls_) {
        http::TlsClientIdentity shown{{}, *identity_->certificate, SecretText(identity_->tls_key)};
        for (const std::string& root : identity_->trust_bundle) shown.trust.ca_pem += root;
        auto tls = http::client_tls(shown);
        if (!tls) return failed(tls.error());
        tls_ = std::move(*tls);
    }
    options->tls = tls_;
    return http::Client::open(world_.loop, std::move(*options));
}

Result<std::unique_ptr<http::Client>> Node::open_stranger(const Token& token) const {
    auto options = options_for(token.claims.url);
    if (!options) return failed(options.error());
    options->tls = token.tls;
    return http::Client::open(world_.loop, std::move(*options));
}

void Node::knock(const Token& token) {
    auto client = open_stranger(token);
    if (!client) {
        world_.measures.failed("knock: " + client.error().message);
        return world_.on_knocked(*this);
    }
    held_ = std::move(*client);
    asked_at_ = instant();
    http::ClientRequest request;
    request.target = "/health";
    request.timeout = kPatience;
    held_->request(std::move(request), [this](Result<http::Response> answer) {
        if (answer && answer->status == 200)
            world_.measures.knock.add(asked_at_);
        else
            world_.measures.failed("knock: " +
                                   (answer ? reason_of(*answer) : answer.error().message));
        held_.reset();
        world_.on_knocked(*this);
    });
}

// Made once: a repeat must be the same application, or it would spend the token again.
Result<void> Node::prepare(const Token& token) {
    if (application_) return {};
    auto made = Application::make(token, fmt::format("{}-{}", token.prefix, number_));
    if (!made) return failed(made.error());
    application_ = std::move(*made);
    return {};
}

void Node::enrol(const Token& token) {
    const auto prepared = prepare(token);
    auto client = prepared ? open_stranger(token) : failed(prepared.error());
    if (!client) {
        world_.measures.failed("enrol: " + client.error().message);
        return world_.on_enrolled(*this, false);
    }
    held_ = std::move(*client);
    asked_at_ = instant();
    held_->request(json_request("POST", "/api/v1/enrol", application_->body),
                   [this, &token](Result<http::Response> answer) {
                       if (answer && answer->status == 201) return enrolled(token, *answer);
                       not_enrolled(token, answer);
                   });
}

// A token that is refused will be refused again; anything else is tried again.
void Node::not_enrolled(const Token& token, const Result<http::Response>& answer) {
    world_.measures.failed("enrol: " + (answer ? reason_of(*answer) : answer.error().message));
    held_.reset();
    if (answer && answer->status < 500 && answer->status != 429)
        return world_.on_enrolled(*this, false);
    next_ = world_.loop.after(backoff_.next(), [this, &token] { enrol(token); });
}

void Node::enrolled(const Token& token, const http::Response& response) {
    auto answer = model::decode<wire::Enrolment>(response.body, model::kDocument);
    auto identity =
        answer ? accept(token, *application_, *answer) : Result<Identity>(failed(answer.error()));
    if (identity) {
        world_.measures.enrol.add(asked_at_);
        set_identity(std::move(*identity));
        backoff_.reset();
    } else {
        world_.measures.failed("enrol: " + identity.error().message);
    }
    application_.reset();
    held_.reset();
    world_.on_enrolled(*this, identity_.has_value());
}

void Node::connect() {
    auto client = open_session();
    if (!client) return lost(client.error().message);
    held_ = std::move(*client);
    is_fresh_ = true;
    ask();
}

void Node::poll() {
    if (!is_reached_ || is_asking_) {
        ++world_.measures.polls_late;
        return;
    }
    ask();
}

// The first answer after a silence is wanted at once: it tells that the controller is there.
void Node::ask() {
    const bool waits = world_.holds && is_reached_ && !since_.empty();
    const auto wait = waits ? kHeldPoll : 0s;
    http::ClientRequest request;
    request.target =
        fmt::format("/api/v1/node/map?wait={}&protocolVersion={}", wait.count(), kProtocolVersion);
    if (!since_.empty()) request.target += "&since=" + since_;
    request.timeout = wait + kPatience;
    asked_at_ = instant();
    is_asking_ = true;
    held_->request(std::move(request), [this, waits](Result<http::Response> answer) {
        is_asking_ = false;
        if (!waits && !is_fresh_ && answer) world_.measures.poll.add(asked_at_);
        answered(std::move(answer));
    });
}

void Node::answered(Result<http::Response> answer) {
    if (!answer) return lost("session: " + answer.error().message);
    if (answer->status == 304) ++world_.measures.unchanged;
    if (answer->status == 200) take_map(*answer);
    if (answer->status >= 400) return lost("session: " + reason_of(*answer));
    if (is_fresh_) world_.measures.connect.add(asked_at_);
    is_fresh_ = false;
    backoff_.reset();
    if (!is_reached_) {
        is_reached_ = true;
        if (lost_at_) world_.measures.back.add(*lost_at_);
        lost_at_.reset();
        world_.on_reached(*this);
    }
    if (world_.holds) ask();
}

void Node::take_map(const http::Response& response) {
    world_.measures.map_bytes += response.body.size();
    auto news = world_.reader.read(response.body);
    if (!news) return world_.measures.failed("map: " + news.error().message);
    since_ = (*news)->since;
    if ((*news)->is_full) {
        ++world_.measures.full_maps;
        return;
    }
    ++world_.measures.deltas;
    world_.on_news(*this, **news);
}

void Node::lost(const std::string& why) {
    world_.measures.failed(why);
    come_back();
}

void Node::come_back() {
    if (!lost_at_) lost_at_ = instant();
    const bool was_reached = std::exchange(is_reached_, false);
    // Not here and now: this may run within a callback of the client.
    next_ = world_.loop.after(backoff_.next(), [this] { connect(); });
    if (was_reached) world_.on_lost(*this);
}

void Node::restart() {
    held_.reset();
    small_.reset();
    is_asking_ = false;
    come_back();
}

Result<http::Client*> Node::small() {
    if (small_) return small_.get();
    auto client = open_session();
    if (!client) return failed(client.error());
    small_ = std::move(*client);
    return small_.get();
}

void Node::ask_small(http::ClientRequest request, int expected,
                     std::function<void(const http::Response&, Instant)> done) {
    auto client = small();
    if (!client) return world_.measures.failed(client.error().message);
    const std::string target = request.target;
    (*client)->request(std::move(request), [this, target, expected, done = std::move(done),
                                            start = instant()](Result<http::Response> answer) {
        if (answer && answer->status == expected) return done(*answer, start);
        world_.measures.failed(
            fmt::format("{}: {}", target, answer ? reason_of(*answer) : answer.error().message));
    });
}

void Node::report(const std::string& endpoint) {
    wire::EndpointReport body;
    const auto& network = identity_->networks.front();
    body.networks.push_back({network.network_id, network.listen_port, {endpoint}});
    ask_small(json_request("PUT", "/api/v1/node/endpoints", encode(body)), 204,
              [this](const http::Response&, Instant start) {
                  world_.measures.report.add(start);
                  world_.on_reported();
              });
}

void Node::renew() {
    auto key = pki::TlsKey::generate();
    auto csr = key ? pki::create_csr(*key) : failed(key.error());
    auto pem = key ? key->to_pem() : failed(key.error());
    if (!csr || !pem) return world_.measures.failed("renew: no key");
    auto kept = std::make_shared<SecretText>(std::move(*pem));
    ask_small(json_request("POST", "/api/v1/node/certificate", encode(wire::RenewRequest{*csr})),
              201, [this, kept](const http::Response& response, Instant start) {
                  world_.measures.renew.add(start);
                  renewed(*kept, response);
              });
}

// The new certificate is used from the next connection on, which is made now.
void Node::renewed(const SecretText& key, const http::Response& response) {
    auto answer = model::decode<wire::Renewal>(response.body, model::kDocument);
    if (!answer) return world_.measures.failed("renew: " + answer.error().message);
    identity_->certificate = answer->certificate;
    identity_->trust_bundle = answer->trust_bundle;
    identity_->tls_key = key.reveal();
    tls_.reset();
    next_ = world_.loop.after(0ms, [this] { restart(); });
}

}  // namespace cvlan::sim
