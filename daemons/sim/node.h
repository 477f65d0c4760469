// SPDX-License-Identifier: Apache-2.0
#pragma once

// One simulated node: enrols, keeps a session as an agent does (a held query on one connection,
// small requests on another), comes back with the agent's jitter. Loop thread only.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/backoff.h"
#include "base/event_loop.h"
#include "daemons/sim/identity.h"
#include "daemons/sim/news.h"
#include "daemons/sim/samples.h"
#include "http/client.h"

namespace cvlan::sim {

class Node;

// What all nodes of a simulation share.
struct World {
    EventLoop& loop;
    Measures& measures;
    std::optional<Endpoint> server{};  // instead of where the token and the enrolment say
    bool holds = true;                 // else a node asks only when told: poll()
    NewsReader reader{};
    // Told by nodes.
    std::function<void(Node&, bool good)> on_enrolled{};
    std::function<void(Node&)> on_knocked{};
    std::function<void(Node&)> on_reached{};  // its session stands; again after each loss
    std::function<void(Node&)> on_lost{};
    std::function<void(Node&, const News&)> on_news{};  // a delta's
    std::function<void()> on_reported{};  // the answer; others may have had the news before it
};

class Node {
public:
    Node(World& world, size_t number);

    void set_identity(Identity identity) {
        identity_ = std::move(identity);
        tls_.reset();
    }
    const std::optional<Identity>& identity() const { return identity_; }
    size_t number() const { return number_; }
    // "<epoch>.<revision>" of the map it has; a node that has none asks for a full one.
    const std::string& since() const { return since_; }
    void set_since(std::string since) { since_ = std::move(since); }
    bool is_reached() const { return is_reached_; }

    void knock(const Token& token);  // a TLS connection and the smallest request on it
    // Makes keys and certificate request, which enrol() does where it was not called.
    Result<void> prepare(const Token& token);
    void enrol(const Token& token);
    void connect();  // opens the session and goes on for ever
    void poll();     // one plain poll; not while holding
    void report(const std::string& endpoint);
    void renew();
    void restart();  // drops its connections and comes back, with jitter

private:
    Result<http::ClientOptions> options_for(const std::string& url) const;
    Result<std::unique_ptr<http::Client>> open_stranger(const Token& token) const;
    Result<std::unique_ptr<http::Client>> open_session();
    Result<http::Client*> small();
    void ask_small(http::ClientRequest request, int expected,
                   std::function<void(const http::Response&, Instant)> done);
    void enrolled(const Token& token, const http::Response& response);
    void not_enrolled(const Token& token, const Result<http::Response>& answer);
    void ask();
    void answered(Result<http::Response> answer);
    void take_map(const http::Response& response);
    void lost(const std::string& why);
    void come_back();
    void renewed(const SecretText& key, const http::Response& response);

    World& world_;
    size_t number_;
    std::optional<Identity> identity_;
    std::shared_ptr<const http::ClientTls> tls_;  // the identity's; none yet: made when it is used
    std::optional<Application> application_;
    std::string since_;
    std::unique_ptr<http::Client> held_;
    std::unique_ptr<http::Client> small_;
    Backoff backoff_;
    Timer next_;
    Instant asked_at_{};
    std::optional<Instant> lost_at_;
    bool is_fresh_ = true;     // no answer has come over this connection
    bool is_reached_ = false;  // the last answer was a good one
    bool is_asking_ = false;
};

}  // namespace cvlan::sim
