// SPDX-License-Identifier: Apache-2.0
#include "daemons/controller/controller.h"

#include <grp.h>
#include <unistd.h>

#include <filesystem>

#include "api/service.h"
#include "api/webhooks.h"
#include "base/file.h"
#include "daemons/controller/bootstrap.h"
#include "daemons/controller/hosts.h"
#include "daemons/controller/jobs.h"

namespace cvlan::controller {

namespace {

using namespace std::chrono_literals;
constexpr auto kDrainLimit = 10s;
constexpr auto kIntermediateReserve = 24h * 60;

std::string url_of(const std::string& server_name, uint16_t port) {
    const auto address = Address::parse(server_name);
    const bool is_v6 = address && !address->is_v4();
    return fmt::format("https://{}:{}", is_v6 ? fmt::format("[{}]", server_name) : server_name,
                       port);
}

// "registration+session".
std::string names_of(const api::Roles& roles) {
    constexpr std::pair<api::Role, const char*> kNames[] = {
        {api::Role::Discovery, "discovery"},
        {api::Role::Registration, "registration"},
        {api::Role::Session, "session"},
        {api::Role::Api, "api"}};
    std::string names;
    for (const auto& [role, name] : kNames)
        if (roles.contains(role)) names += (names.empty() ? "" : "+") + std::string(name);
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
    : loop_(loop), config_(config), clock_(clock) {}
Controller::~Controller() = default;

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
    if (auto loaded = controller->feed_->load_all(); !loaded) return failed(loaded.error());
    if (auto listening = controller->listen(); !listening) return failed(listening.error());
    if (auto jobs = controller->start_jobs(); !jobs) return failed(jobs.error());
    return controller;
}

Result<void> Controller::open(Installation installation) {
    installation_.emplace(std::move(installation));
    auto authority = pki::Authority::open(pki_folder(config_));
    if (!authority) return failed(authority.error().while_doing("certificate authority"));
    authority_.emplace(std::move(*authority));
    auto store = open_store(config_, clock_, store::Create::No,
                            [this](std::function<void()> task) { loop_.post(std::move(task)); });
    if (!store) return failed(store.error());
    store_ = std::move(*store);
    keys_ = std::make_unique<api::KeyRing>(keys_folder(config_));
    maps_ = std::make_unique<maps::Maps>(
        [this](const std::string& tenant_id, std::string payload) {
            return keys_->sign_map(tenant_id, std::move(payload));
        },
        clock_);
    auth_ = std::make_unique<api::Auth>(*store_, authority_->trust_domain(), clock_);
    admins_ = std::make_unique<api::AdminAuth>(*store_, clock_);
    passwords_ = std::make_unique<api::Passwords>(loop_, api::PasswordCost{});
    polls_ = std::make_unique<api::Polls>(loop_, clock_);
    limiter_ = std::make_unique<api::Limiter>(config_.failed_enrolments_per_minute, clock_);
    api::Settings settings{{url_of(installation_->server_name, config_.registration.port)},
                           {url_of(installation_->server_name, config_.session.port)},
                           own_addresses(installation_->server_name, config_),
                           url_of(installation_->server_name, config_.api.port),
                           config_.webhook_prefixes};
    feed_ = std::make_unique<MapFeed>(
        MapFeed::Parts{loop_, *store_, *maps_, *keys_,
                       [this](const maps::Touched& touched) { polls_->wake(touched); }});
    context_ = std::make_unique<api::Context>(
        api::Context{*store_, *maps_, *authority_, installation_->key, *keys_, *auth_, *admins_,
                     *passwords_, *polls_, *limiter_, clock_, std::move(settings)});
    context_->metrics->listeners = [this] { return listener_figures(); };
    context_->metrics->certificates = [this] { return certificate_figures(); };
    store_->on_event([this](const store::Event& event) { on_event(event); });
    return offer_bootstrap(*context_, config_.state_dir + "/bootstrap-link");
}

// After the commit, before the writer gets its answer: the maps are never behind what was
// acknowledged.
void Controller::on_event(const store::Event& event) {
    auth_->forget(event.object_id);
    admins_->forget(event.object_id);
    if (event.kind == store::EventKind::TenantSuspended ||
        event.kind == store::EventKind::TenantResumed)
        auth_->forget_tenant(event.tenant_id);
    feed_->take(event);
}

std::vector<api::ListenerFigures> Controller::listener_figures() const {
    std::vector<api::ListenerFigures> figures;
    for (const TcpListener& listener : tcp_)
        figures.push_back({listener.name, listener.server->stats()});
    for (const LocalListener& listener : local_)
        figures.push_back({listener.name, listener.server->stats()});
    return figures;
}

std::vector<api::CertificateFigures> Controller::certificate_figures() const {
    return {{"root", authority_->root_not_after()},
            {"intermediate", authority_->intermediate_not_after()},
            {"server", server_not_after_}};
}

http::Service Controller::service(api::Roles roles, std::vector<std::string> hosts) {
    http::Limits limits = config_.limits;
    limits.allowed_hosts = std::move(hosts);
    return {[this, roles = std::move(roles)](http::Request request, http::Reply reply) {
                api::handle(*context_, roles, std::move(request), std::move(reply));
            },
            std::move(limits)};
}

Result<http::TlsServerOptions> Controller::tls_options(bool asks_for_client) {
    auto key = pki::TlsKey::generate();
    if (!key) return failed(key.error());
    auto issued = authority_->issue_server(*key, {installation_->server_name}, clock_.now());
    if (!issued) return failed(issued.error().while_doing("server certificate"));
    auto pem = key->to_pem();
    if (!pem) return failed(pem.error());
    server_not_after_ = issued->not_after;
    http::TlsServerOptions options{issued->chain_pem, std::move(*pem)};
    if (asks_for_client) {
        options.client_ca_pem = authority_->trust_bundle();
        options.client_cert = http::ClientCert::Optional;
    }
    return options;
}

Result<void> Controller::start_jobs() {
    JobSettings settings;
    settings.keep_audit = config_.keep_audit;
    settings.certificates = [this] { return certificate_figures(); };
    webhooks_.emplace(WebhookParts{
        loop_, clock_, system_cas(),
        [this](const Address& to) { return api::may_be_fetched(context_->settings, to); },
        [this](const store::Webhook& webhook) {
            return api::webhook_secret(installation_->key, webhook);
        }});
    auto kinds = job_kinds(settings, clock_);
    kinds.push_back(webhook_job(*webhooks_));
    // Leases are told apart by their number; the name is for who reads the list.
    const std::string holder = fmt::format("{}:{}", installation_->server_name, getpid());
    jobs_ = std::make_unique<JobRunner>(JobRunner::Parts{loop_, *store_, clock_, holder},
                                        std::move(kinds));
    context_->metrics->jobs = [this] { return jobs_->figures(); };
    if (auto started = jobs_->start(); !started) return failed(started.error().while_doing("jobs"));
    return {};
}

Result<void> Controller::listen() {
    // First: one that has run out signs no certificate for the listeners.
    renew_intermediate();
    if (auto tcp = listen_tcp(); !tcp) return tcp;
    if (auto local = listen_local(); !local) return local;
    renewal_ = loop_.every(24h, [this] { renew_server_certificate(); });
    seen_ = loop_.every(api::Auth::kSeenEvery, [this] { auth_->flush_seen(); });
    refusals_ = loop_.every(1s, [this] { context_->refusals->flush_due(); });
    used_ = loop_.every(api::AdminAuth::kUsedEvery, [this] { admins_->flush_used(); });
    return {};
}

Result<void> Controller::listen_tcp() {
    std::map<Endpoint, api::Roles> roles;
    roles[config_.discovery].insert(api::Role::Discovery);
    roles[config_.registration].insert(api::Role::Registration);
    roles[config_.session].insert(api::Role::Session);
    roles[config_.api].insert(api::Role::Api);
    for (const auto& [at, served] : roles) {
        // Of nodes, and of accounts that have one.
        const bool asks = served.contains(api::Role::Session) || served.contains(api::Role::Api);
        auto tls = tls_options(asks);
        if (!tls) return failed(tls.error());
        auto what = service(served, hosts_at(installation_->server_name, at));
        if (const auto found = config_.proxies.find(at); found != config_.proxies.end())
            what.proxies = found->second;
        auto server = http::Server::listen_tls(loop_, at, *tls, std::move(what));
        if (!server)
            return failed(server.error().while_doing(fmt::format("listen on {}", at.text())));
        tcp_.push_back({names_of(served), std::move(*server), asks});
        log::info("controller.listening", {{"address", at.text()}, {"roles", served.size()}});
    }
    return {};
}

Result<void> Controller::listen_local() {
    const auto folder = std::filesystem::path(config_.admin_socket).parent_path().string();
    if (auto made = make_directories(folder, 0755); !made) return made;
    auto group = group_of(config_.admin_group);
    if (!group) return failed(group.error());
    auto admin =
        http::Server::listen_unix(loop_, {config_.admin_socket, 0660, *group},
                                  service({api::Role::Api, api::Role::Discovery}, {"localhost"}));
    if (!admin) return failed(admin.error().while_doing("admin_socket"));
    local_.push_back({"admin", std::move(*admin)});
    log::info("controller.listening", {{"address", config_.admin_socket}, {"roles", 2}});
    if (!config_.metrics) return {};
    auto served = service({}, local_hosts(*config_.metrics));
    served.handler = [this](const http::Request& request, http::Reply reply) {
        if (request.path != "/metrics") return reply.send({.status = 404});
        reply.send(api::metrics(*context_, {request, {}, {}, *store_}));
    };
    auto metrics = http::Server::listen_plain(loop_, *config_.metrics, std::move(served));
    if (!metrics) return failed(metrics.error().while_doing("listen.metrics"));
    local_.push_back({"metrics", std::move(*metrics)});
    return {};
}

// An intermediate that ends within two months is replaced where the root's key is here.
// Certificates of the old one stay good: every chain carries its own intermediate.
void Controller::renew_intermediate() {
    if (authority_->intermediate_not_after() - clock_.now() > kIntermediateReserve) return;
    auto renewed = pki::Authority::renew_intermediate(pki_folder(config_), clock_.now());
    auto opened = renewed ? pki::Authority::open(pki_folder(config_)) : failed(renewed.error());
    if (!opened) {
        log::error("controller.intermediate_not_renewed",
                   {{"until", rfc3339(authority_->intermediate_not_after())},
                    {"reason", opened.error().message}});
        return;
    }
    *authority_ = std::move(*opened);
    log::info("controller.intermediate_renewed",
              {{"until", rfc3339(authority_->intermediate_not_after())}});
}

// The certificate lives for 90 days; daily a fresh one, so that no restart is ever needed for it.
void Controller::renew_server_certificate() {
    renew_intermediate();
    for (TcpListener& listener : tcp_) {
        auto tls = tls_options(listener.asks_for_client);
        auto renewed = tls ? listener.server->update_tls(*tls) : failed(tls.error());
        if (!renewed)
            log::error("controller.certificate_not_renewed", {{"reason", renewed.error().message}});
    }
}

void Controller::drain(const std::function<void()>& done) {
    context_->draining = true;
    jobs_->stop();
    draining_ = tcp_.size() + local_.size();
    const auto one_done = [this, done] {
        if (--draining_ > 0) return;
        auth_->flush_seen();
        context_->refusals->flush();
        admins_->flush_used();
        done();
    };
    for (TcpListener& listener : tcp_) listener.server->drain(kDrainLimit, one_done);
    for (LocalListener& listener : local_) listener.server->drain(kDrainLimit, one_done);
}

}  // namespace cvlan::controller
