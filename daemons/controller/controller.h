// SPDX-License-Identifier: Apache-2.0
#pragma once

// The controller: one store, and a listener for each address with the roles it serves. The session
// role, with the maps and the nodes' identities, is on the caller's loop. The api thread has the
// admin socket, the jobs, whatever waits for the disk while nobody waits for it, and the api's
// address where that is its own; every other address has a thread too. What comes to the session's
// address for another role is worked on by that role's thread, and what takes long by one of its
// own. So what comes to another role, or is done by itself, keeps no node from its map.

#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include "api/router.h"
#include "base/event_loop.h"
#include "base/loop_thread.h"
#include "base/snapshot.h"
#include "daemons/controller/config.h"
#include "daemons/controller/job_runner.h"
#include "daemons/controller/map_feed.h"
#include "daemons/controller/setup.h"
#include "daemons/controller/webhook_run.h"

namespace cvlan::controller {

class Controller {
public:
    // Opens everything and listens. `config` and `clock` outlive it.
    static Result<std::unique_ptr<Controller>> start(EventLoop& loop,
                                                     const ControllerConfig& config,
                                                     const Clock& clock);
    ~Controller();

    // Stops accepting, answers what is under way, then runs `done`.
    void drain(const std::function<void()>& done);

    // Done daily: a fresh certificate for each listener, and an intermediate where it is time. What
    // is held goes on.
    void renew_certificates();

private:
    Controller(EventLoop& loop, const ControllerConfig& config, const Clock& clock);
    Result<void> open(Installation installation);
    Result<void> listen();
    Result<void> start_jobs();
    Result<void> listen_tcp();
    LoopThread* add_thread(const std::string& name);
    Result<void> listen_at(const Endpoint& at, const ListenerConfig& wanted);
    Result<void> listen_admin();
    Result<void> listen_metrics();
    Result<void> listen_local();
    void start_flushing();
    Result<http::TlsServerOptions> tls_options(bool asks_for_client);
    void renew_intermediate();
    void on_event(const store::Event& event);
    void forget(const store::Event& event);
    std::vector<api::ListenerFigures> listener_figures() const;
    std::vector<api::CertificateFigures> certificate_figures() const;
    http::Service service(api::Roles roles, std::vector<std::string> hosts);

    struct Listener {
        std::string name;
        LoopThread* thread = nullptr;  // null: the session's loop
        bool has_tls = false;
        bool asks_for_client = false;
        std::unique_ptr<http::Server> server{};  // belongs to its loop's thread
    };
    using Open = std::function<Result<std::unique_ptr<http::Server>>(EventLoop&)>;
    void on_thread_of(const Listener& listener, std::function<void()> run);
    Result<void> add(Listener listener, const Open& open);
    EventLoop& loop_of(const api::Route& route, EventLoop& here);
    bool serves(api::Role role) const { return config_.roles.contains(role); }

    EventLoop& loop_;
    const ControllerConfig& config_;
    const Clock& clock_;
    std::optional<Installation> installation_;
    // Before all that they post to or run: loops end last.
    std::vector<std::unique_ptr<LoopThread>> threads_;
    LoopThread* api_thread_ = nullptr;
    LoopThread* strangers_ = nullptr;  // where enrolments come to the session's address
    std::unique_ptr<LoopThread> long_;
    std::unique_ptr<Snapshot<pki::Authority>> authority_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<api::KeyRing> keys_;
    std::unique_ptr<maps::Maps> maps_;
    std::unique_ptr<api::Auth> auth_;
    std::unique_ptr<api::AdminAuth> admins_;
    std::unique_ptr<api::Passwords> passwords_;
    std::unique_ptr<Workers> enrolling_;
    std::unique_ptr<Workers> reporting_;
    std::unique_ptr<api::Polls> polls_;
    std::unique_ptr<MapFeed> feed_;
    std::optional<WebhookParts> webhooks_;
    std::unique_ptr<JobRunner> jobs_;
    std::unique_ptr<api::Limiter> limiter_;
    std::unique_ptr<api::Context> context_;
    std::vector<Listener> listeners_;
    std::atomic<WallTime> server_not_after_{};
    Timer renewal_;
    std::vector<Timer> flushing_;  // of the api thread
    size_t draining_ = 0;
};

}  // namespace cvlan::controller
