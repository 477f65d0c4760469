// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/controller.h"

#include <grp.h>
#include <unistd.h>

#include <filesystem>

#include "api/service.h"
#include "api/webhooks.h"
#include "base/file.h"
#include "daemons/controller/bootstrap.h"
#include "daemons/controller/clock_watch.h"
#include "daemons/controller/hosts.h"
#include "daemons/controller/jobs.h"
#include "store/missed.h"

namespace cvlan::controller {

namespace {

using namespace std::chrono_literals;
constexpr auto kDrainLimit = 10s;
constexpr auto kIntermediateReserve = 24h * 60;
// Behind the session role: a poll under a flood of enrolments takes 1.1 times as long as without,
// and 2.4 times at 5 (docs/performance.md); as many enrol a second.
constexpr int kNice = 10;
// So many enrolments share a wait for the disk.
constexpr size_t kWorkers = 32;
constexpr size_t kWaitingForWorkers = 1024;

std::string url_of(const std::string& server_name, uint16_t port) {
    const auto address = Address::parse(server_name);
    const bool is_v6 = address && !address->is_v4();
    return fmt::format("https://{}:{}", is_v6 ? fmt::format("[{}]", server_name) : server_name,
                       port);
}

// "registration+session".
std::string names_of(const api::Roles& roles) {
    std::string names;
    for (const api::Role role : roles)
        names += fmt::format("{}{}", names.empty() ? "" : "+", name_of(role));
    return names;
}

Result<std::optional<gid_t>> group_of(const std::string& name) {
    if (name.empty()) return std::optional<gid_t>{};
    const struct group* found = getgrnam(name.c_str());
    if (!found) return fail(Code::Invalid, "admin_group: no group '{}'", name);
    return std::optional<gid_t>(found->gr_gid);
}

// Whom this machine trusts; without them no webhook is told anything, and says so.
std::string system_cas() {
    return read_file("/etc/ssl/certs/ca-certificates.crt", 8 << 20).value_or("");
}

}  // namespace

Controller::Controller(EventLoop& loop, const ControllerConfig& config, const Clock& clock)
    : loop_(loop), config_(config), clock_(clock) {
    threads_.push_back(std::make_unique<LoopThread>("cv-api"));
    api_thread_ = threads_.front().get();
    long_ = std::make_unique<LoopThread>("cv-long", kNice);
}

// What belongs to a thread ends on it.
Controller::~Controller() {
    api_thread_->call([this] {
        jobs_.reset();
        flushing_.clear();
    });
    for (Listener& listener : listeners_)
        if (listener.thread) listener.thread->call([&listener] { listener.server.reset(); });
    listeners_.clear();
    // Whoever had asked is gone by now: an answer that is dropped here is nobody's.
    for (Workers* workers : {enrolling_.get(), reporting_.get()})
        if (workers) workers->stop();
    for (const auto& thread : threads_) thread->stop();
    long_->stop();
}

Result<std::unique_ptr<Controller>> Controller::start(EventLoop& loop,
                                                      const ControllerConfig& config,
                                                      const Clock& clock) {
    auto installation = load_installation(config);
    if (!installation && installation.error().code == Code::NotFound)
        return fail(Code::NotFound, "{} is not set up: run `cvlan-controller setup` first",
                    config.state_dir);
    if (!installation) return failed(installation.error());
    std::unique_ptr<Controller> controller(new Controller(loop, config, clock));
    if (auto opened = controller->open(std::move(*installation)); !opened)
        return failed(opened.error());
    if (controller->serves(api::Role::Session))
        if (auto loaded = controller->feed_->load_all(); !loaded) return failed(loaded.error());
    if (auto listening = controller->listen(); !listening) return failed(listening.error());
    if (auto jobs = controller->start_jobs(); !jobs) return failed(jobs.error());
    return controller;
}

Result<void> Controller::open(Installation installation) {
    installation_.emplace(std::move(installation));
    auto authority = pki::Authority::open(pki_folder(config_));
    if (!authority) return failed(authority.error().while_doing("certificate authority"));
    authority_ = std::make_unique<Snapshot<pki::Authority>>(std::move(*authority));
    // Reads what other controllers of the same database change.
    threads_.push_back(std::make_unique<LoopThread>("cv-follow"));
    LoopThread& follower = *threads_.back();
    auto store = open_store(
        config_, clock_, store::Create::No,
        [&follower](std::function<void()> task) { follower.loop().post(std::move(task)); });
    if (!store) return failed(store.error());
    store_ = std::move(*store);
    if (!config_.trusts_clock)
        if (auto right = check_clock(*store_, clock_.now()); !right) return right;
    keys_ = std::make_unique<api::KeyRing>(keys_folder(config_));
    maps_ = std::make_unique<maps::Maps>(
        [this](const std::string& tenant_id, std::string payload) {
            return keys_->sign_map(tenant_id, std::move(payload));
        },
        clock_);
    auth_ = std::make_unique<api::Auth>(*store_, (*authority_)->trust_domain(), clock_);
    admins_ = std::make_unique<api::AdminAuth>(*store_, clock_);
    passwords_ = std::make_unique<api::Passwords>(api_thread_->loop(), api::PasswordCost{});
    enrolling_ = std::make_unique<Workers>(
        Workers::Options{"cv-enrol", kWorkers, kWaitingForWorkers, kNice});
    reporting_ = std::make_unique<Workers>(
        Workers::Options{"cv-report", kWorkers, kWaitingForWorkers, kNice});
    polls_ = std::make_unique<api::Polls>(loop_, clock_);
    limiter_ = std::make_unique<api::Limiter>(config_.failed_enrolments_per_minute, clock_);
    api::Settings settings{{url_of(installation_->server_name, config_.registration.port)},
                           {url_of(installation_->server_name, config_.session.port)},
                           own_addresses(installation_->server_name, config_),
                           url_of(installation_->server_name, config_.api.port),
                           config_.webhook_prefixes};
    MapFeed::Parts parts{loop_, *store_, *maps_, *keys_,
                         [this](const maps::Touched& touched) { polls_->wake(touched); }};
    parts.changed = [this](const store::Event& event) { forget(event); };
    feed_ = std::make_unique<MapFeed>(std::move(parts));
    context_.reset(new api::Context{*store_, *maps_, *authority_, installation_->key, *keys_,
                                    *auth_, *admins_, *passwords_, *enrolling_, *reporting_,
                                    *polls_, *limiter_, clock_, std::move(settings)});
    context_->loop_of = [this](const api::Route& route, EventLoop& here) -> EventLoop& {
        return loop_of(route, here);
    };
    context_->metrics->listeners = [this] { return listener_figures(); };
    context_->metrics->certificates = [this] { return certificate_figures(); };
    store_->on_event([this](const store::Event& event) { on_event(event); });
    return offer_bootstrap(*context_, config_.state_dir + "/bootstrap-link");
}

// After the commit, before the writer gets its answer, on the writer's thread: no node that asks
// after that sees less than what was acknowledged.
void Controller::on_event(const store::Event& event) {
    admins_->forget(event.object_id);
    if (serves(api::Role::Session)) feed_->take(event);
}

// On the session's loop.
void Controller::forget(const store::Event& event) {
    // Where a node can be reached is none of its standing, and changes all the time.
    if (event.kind == store::EventKind::EndpointsChanged) return;
    auth_->forget(event.object_id);
    if (event.kind == store::EventKind::TenantSuspended ||
        event.kind == store::EventKind::TenantResumed || event.kind == store::kEventsMissed)
        auth_->forget_tenant(event.tenant_id);
}

std::vector<api::ListenerFigures> Controller::listener_figures() const {
    std::vector<api::ListenerFigures> figures;
    for (const Listener& listener : listeners_)
        figures.push_back({listener.name, listener.server->stats()});
    return figures;
}

std::vector<api::CertificateFigures> Controller::certificate_figures() const {
    const auto authority = authority_->get();
    return {{"root", authority->root_not_after()},
            {"intermediate", authority->intermediate_not_after()},
            {"server", server_not_after_}};
}

http::Service Controller::service(api::Roles roles, std::vector<std::string> hosts) {
    http::Limits limits = config_.limits;
    limits.allowed_hosts = std::move(hosts);
    const bool is_session = roles.contains(api::Role::Session);
    return {[this, is_session, roles = std::move(roles)](http::Request request, http::Reply reply) {
                if (is_session) feed_->bring_in();
                api::handle(*context_, roles, std::move(request), std::move(reply));
            },
            std::move(limits)};
}

EventLoop& Controller::loop_of(const api::Route& route, EventLoop& here) {
    if (route.is_long) return long_->loop();
    if (&here != &loop_ || route.role == api::Role::Session) return here;
    return route.role == api::Role::Api ? api_thread_->loop() : strangers_->loop();
}

Result<http::TlsServerOptions> Controller::tls_options(bool asks_for_client) {
    auto key = pki::TlsKey::generate();
    if (!key) return failed(key.error());
    auto issued = (*authority_)->issue_server(*key, {installation_->server_name}, clock_.now());
    if (!issued) return failed(issued.error().while_doing("server certificate"));
    auto pem = key->to_pem();
    if (!pem) return failed(pem.error());
    server_not_after_ = issued->not_after;
    http::TlsServerOptions options{issued->chain_pem, std::move(*pem)};
    if (asks_for_client) {
        options.client_ca_pem = (*authority_)->trust_bundle();
        options.client_intermediate_pem = (*authority_)->intermediate_pem();
        options.client_cert = http::ClientCert::Optional;
    }
    return options;
}

Result<void> Controller::start_jobs() {
    JobSettings settings;
    settings.keep_audit = config_.keep_audit;
    settings.certificates = [this] { return certificate_figures(); };
    webhooks_.emplace(WebhookParts{
        api_thread_->loop(), clock_, system_cas(),
        [this](const Address& to) { return api::may_be_fetched(context_->settings, to); },
        [this](const store::Webhook& webhook) {
            return api::webhook_secrets(installation_->key, webhook, clock_.now());
        }});
    auto kinds = job_kinds(settings, clock_);
    kinds.push_back(webhook_job(*webhooks_));
    // Leases are told apart by their number; the name is for who reads the list.
    const std::string holder = fmt::format("{}:{}", installation_->server_name, getpid());
    jobs_ = std::make_unique<JobRunner>(
        JobRunner::Parts{api_thread_->loop(), *store_, clock_, holder}, std::move(kinds));
    context_->metrics->jobs = [this] { return jobs_->figures(); };
    auto started = api_thread_->call([this] { return jobs_->start(); });
    if (!started) return failed(started.error().while_doing("jobs"));
    return {};
}

Result<void> Controller::listen() {
    // First: one that has run out signs no certificate for the listeners.
    renew_intermediate();
    if (auto tcp = listen_tcp(); !tcp) return tcp;
    if (auto local = listen_local(); !local) return local;
    renewal_ = loop_.every(24h, [this] { renew_certificates(); });
    api_thread_->call([this] { start_flushing(); });
    return {};
}

// It waits for the disk, where a node's poll is not to.
void Controller::start_flushing() {
    EventLoop& loop = api_thread_->loop();
    flushing_.push_back(loop.every(api::Auth::kSeenEvery, [this] { auth_->flush_seen(); }));
    flushing_.push_back(loop.every(1s, [this] { context_->refusals->flush_due(); }));
    flushing_.push_back(loop.every(api::AdminAuth::kUsedEvery, [this] { admins_->flush_used(); }));
}

Result<void> Controller::add(Listener listener, const Open& open) {
    LoopThread* thread = listener.thread;
    auto server = thread ? thread->call([&] { return open(thread->loop()); }) : open(loop_);
    if (!server) return failed(server.error());
    listener.server = std::move(*server);
    listeners_.push_back(std::move(listener));
    return {};
}

Result<void> Controller::listen_tcp() {
    for (const auto& [at, wanted] : listeners_of(config_))
        if (auto listening = listen_at(at, wanted); !listening)
            return failed(listening.error().while_doing(fmt::format("listen on {}", at.text())));
    return {};
}

// Where strangers come: their work gives way to that for nodes and administrators.
LoopThread* Controller::add_thread(const std::string& name) {
    threads_.push_back(std::make_unique<LoopThread>(name, kNice));
    return threads_.back().get();
}

Result<void> Controller::listen_at(const Endpoint& at, const ListenerConfig& wanted) {
    const bool is_session = wanted.roles.contains(api::Role::Session);
    const bool is_api = wanted.roles.contains(api::Role::Api);
    // Of nodes, and of accounts that have one.
    const bool asks = is_session || is_api;
    auto tls = tls_options(asks);
    if (!tls) return failed(tls.error());
    auto served = service(wanted.roles, hosts_at(installation_->server_name, at));
    served.limits.connections = wanted.limits.connections;
    served.limits.connections_per_address = wanted.limits.connections_per_address;
    served.proxies = wanted.proxies;

    if (is_session && wanted.roles.size() > 1) strangers_ = add_thread("cv-strangers");
    Listener listener{names_of(wanted.roles), is_session ? nullptr : api_thread_, true, asks};
    if (!is_session && !is_api) listener.thread = add_thread("cv-" + listener.name);
    auto added = add(std::move(listener), [&](EventLoop& loop) {
        return http::Server::listen_tls(loop, at, *tls, std::move(served));
    });
    if (!added) return added;
    log::info("controller.listening", {{"address", at.text()}, {"roles", wanted.roles.size()}});
    return {};
}

Result<void> Controller::listen_local() {
    if (serves(api::Role::Api))
        if (auto admin = listen_admin(); !admin)
            return failed(admin.error().while_doing("admin_socket"));
    if (!config_.metrics) return {};
    if (auto metrics = listen_metrics(); !metrics)
        return failed(metrics.error().while_doing("listen.metrics"));
    return {};
}

Result<void> Controller::listen_admin() {
    const auto folder = std::filesystem::path(config_.admin_socket).parent_path().string();
    if (auto made = make_directories(folder, 0755); !made) return made;
    auto group = group_of(config_.admin_group);
    if (!group) return failed(group.error());
    auto served = service({api::Role::Api, api::Role::Discovery}, {"localhost"});
    auto added = add({"admin", api_thread_}, [&](EventLoop& loop) {
        return http::Server::listen_unix(loop, {config_.admin_socket, 0660, *group},
                                         std::move(served));
    });
    if (!added) return added;
    log::info("controller.listening", {{"address", config_.admin_socket}, {"roles", 2}});
    return {};
}

// On the session's loop, where the maps' figures are read; the database is asked elsewhere.
Result<void> Controller::listen_metrics() {
    auto served = service({}, local_hosts(*config_.metrics));
    served.handler = [this](const http::Request& request, http::Reply reply) {
        if (request.path != "/metrics") return reply.send({.status = 404});
        const auto ask = [this, session = api::session_figures(*context_)](http::Reply owed) {
            owed.send(api::metrics(*context_, session));
        };
        http::hand_over(std::move(reply), loop_, api_thread_->loop(), ask);
    };
    return add({"metrics"}, [&](EventLoop& loop) {
        return http::Server::listen_plain(loop, *config_.metrics, std::move(served));
    });
}

// An intermediate that ends within two months is replaced where the root's key is here.
// Certificates of the old one stay good: every chain carries its own intermediate.
void Controller::renew_intermediate() {
    if ((*authority_)->intermediate_not_after() - clock_.now() > kIntermediateReserve) return;
    auto renewed = pki::Authority::renew_intermediate(pki_folder(config_), clock_.now());
    auto opened = renewed ? pki::Authority::open(pki_folder(config_)) : failed(renewed.error());
    if (!opened) {
        log::error("controller.intermediate_not_renewed",
                   {{"until", rfc3339((*authority_)->intermediate_not_after())},
                    {"reason", opened.error().message}});
        return;
    }
    authority_->set(std::move(*opened));
    log::info("controller.intermediate_renewed",
              {{"until", rfc3339((*authority_)->intermediate_not_after())}});
}

// The certificate lives for 90 days; daily a fresh one, so that no restart is ever needed for it.
void Controller::renew_certificates() {
    renew_intermediate();
    const auto complain = [](const Error& why) {
        log::error("controller.certificate_not_renewed", {{"reason", why.message}});
    };
    for (const Listener& listener : listeners_) {
        if (!listener.has_tls) continue;
        auto tls = tls_options(listener.asks_for_client);
        if (!tls) {
            complain(tls.error());
            continue;
        }
        const auto fresh = std::make_shared<http::TlsServerOptions>(std::move(*tls));
        on_thread_of(listener, [fresh, complain, server = listener.server.get()] {
            if (auto renewed = server->update_tls(*fresh); !renewed) complain(renewed.error());
        });
    }
}

void Controller::on_thread_of(const Listener& listener, std::function<void()> run) {
    if (!listener.thread) return run();
    listener.thread->loop().post(std::move(run));
}

void Controller::drain(const std::function<void()>& done) {
    context_->draining = true;
    api_thread_->loop().post([this] {
        if (jobs_) jobs_->stop();
    });
    draining_ = listeners_.size();
    const auto one_done = [this, done] {
        if (--draining_ > 0) return;
        auth_->flush_seen();
        context_->refusals->flush();
        admins_->flush_used();
        done();
    };
    for (const Listener& listener : listeners_)
        on_thread_of(listener, [this, one_done, server = listener.server.get()] {
            server->drain(kDrainLimit, [this, one_done] { loop_.post(one_done); });
        });
}

}  // namespace cvlan::controller
