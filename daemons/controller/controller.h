// SPDX-License-Identifier: Apache-2.0
#pragma once

// The controller: one loop, one store, and a listener for each address with the roles it serves.

#include <map>
#include <memory>
#include <vector>

#include "api/router.h"
#include "base/event_loop.h"
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

private:
    Controller(EventLoop& loop, const ControllerConfig& config, const Clock& clock);
    Result<void> open(Installation installation);
    Result<void> listen();
    Result<void> start_jobs();
    Result<void> listen_tcp();
    Result<void> listen_local();
    Result<http::TlsServerOptions> tls_options(bool asks_for_client);
    void renew_intermediate();
    void renew_server_certificate();
    void on_event(const store::Event& event);
    std::vector<api::ListenerFigures> listener_figures() const;
    std::vector<api::CertificateFigures> certificate_figures() const;
    http::Service service(api::Roles roles, std::vector<std::string> hosts);

    struct TcpListener {
        std::string name;
        std::unique_ptr<http::Server> server;
        bool asks_for_client = false;
    };
    struct LocalListener {
        std::string name;
        std::unique_ptr<http::Server> server;
    };

    EventLoop& loop_;
    const ControllerConfig& config_;
    const Clock& clock_;
    std::optional<Installation> installation_;
    std::optional<pki::Authority> authority_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<api::KeyRing> keys_;
    std::unique_ptr<maps::Maps> maps_;
    std::unique_ptr<api::Auth> auth_;
    std::unique_ptr<api::AdminAuth> admins_;
    std::unique_ptr<api::Passwords> passwords_;
    std::unique_ptr<api::Polls> polls_;
    std::unique_ptr<MapFeed> feed_;
    std::optional<WebhookParts> webhooks_;
    std::unique_ptr<JobRunner> jobs_;
    std::unique_ptr<api::Limiter> limiter_;
    std::unique_ptr<api::Context> context_;
    std::vector<TcpListener> tcp_;
    std::vector<LocalListener> local_;
    WallTime server_not_after_{};
    Timer renewal_;
    Timer seen_;
    Timer refusals_;
    Timer used_;
    size_t draining_ = 0;
};

}  // namespace cvlan::controller
