// SPDX-License-Identifier: Apache-2.0
#pragma once

// A store in front of another, whose reads and writes are counted, and fail with `error` while one
// is set.

#include <functional>
#include <stdexcept>

#include "store/store.h"

namespace cvlan::test {

class FailingStore final : public store::Store {
public:
    explicit FailingStore(store::Store& inner) : inner_(inner) {}
    std::optional<Error> error;                       // of this one and its views
    static constexpr const char* kThrown = "THROWN";  // an error of this reason is, as by a library
    std::function<void()> before_touch;               // on the thread that calls touch_seen
    int failures = 0;                                 // of this one
    int calls = 0;                                    // of this one and its views

    std::unique_ptr<store::Store> as(const store::Cause& cause) override {
        return std::unique_ptr<store::Store>(new FailingStore(inner_.as(cause), *this));
    }
    std::unique_ptr<store::Store> under(const store::Lease& lease) override {
        return std::unique_ptr<store::Store>(new FailingStore(inner_.under(lease), *this));
    }
    store::Webhooks webhooks() override { return inner_.webhooks(); }
    store::Connections connections() override { return inner_.connections(); }
    store::Upkeep upkeep() override { return inner_.upkeep(); }
    store::Jobs jobs() override { return inner_.jobs(); }
    void on_event(std::function<void(const store::Event&)> listener) override {
        inner_.on_event(std::move(listener));
    }
    int64_t epoch() override { return inner_.epoch(); }
    uint64_t commits() override { return inner_.commits(); }
    const metrics::Histogram& write_seconds() override { return inner_.write_seconds(); }
    Result<store::Counts> counts() override { return ask(&Store::counts); }
    // These do not fail.
    store::Objects& objects() override { return inner_.objects(); }
    store::Policies& policies() override { return inner_.policies(); }

    store::Accounts accounts() override { return inner_.accounts(); }
    store::Idempotency idempotency() override { return inner_.idempotency(); }
    store::Health health() override { return inner_.health(); }

    Result<model::Tenant> create_tenant(const store::NewTenant& tenant) override {
        return ask(&Store::create_tenant, tenant);
    }
    Result<store::Page<model::Tenant>> tenants(const store::Filter& filter) override {
        return ask(&Store::tenants, filter);
    }
    Result<model::Tenant> tenant(const std::string& id) override { return ask(&Store::tenant, id); }
    Result<model::Tenant> update_tenant(const std::string& id,
                                        const store::TenantChange& change) override {
        return ask(&Store::update_tenant, id, change);
    }
    Result<store::Usage> usage(const std::string& tenant_id) override {
        return ask(&Store::usage, tenant_id);
    }
    Result<store::Revision> delete_tenant(const std::string& id) override {
        return ask(&Store::delete_tenant, id);
    }

    Result<model::Network> create_network(const store::NewNetwork& network) override {
        return ask(&Store::create_network, network);
    }
    Result<store::Page<model::Network>> networks(const store::Filter& filter) override {
        return ask(&Store::networks, filter);
    }
    Result<model::Network> network(const store::Scope& scope, const std::string& id) override {
        return ask(&Store::network, scope, id);
    }
    Result<model::Network> change_network(const store::Key& network,
                                          const store::NetworkChange& change) override {
        return ask(&Store::change_network, network, change);
    }
    Result<std::vector<store::MapMember>> members_changed(const store::Key& network,
                                                          store::Revision revision) override {
        return ask(&Store::members_changed, network, revision);
    }
    Result<store::Revision> delete_network(const store::Key& network) override {
        return ask(&Store::delete_network, network);
    }

    Result<model::Token> create_token(
        const model::TokenClaims& claims,
        const std::optional<std::chrono::milliseconds>& ephemeral_after) override {
        return ask(&Store::create_token, claims, ephemeral_after);
    }
    Result<store::Page<model::Token>> tokens(const store::Filter& filter) override {
        return ask(&Store::tokens, filter);
    }
    Result<model::Token> token(const store::Scope& scope, const std::string& id) override {
        return ask(&Store::token, scope, id);
    }
    Result<model::Token> revoke_token(const store::Key& token) override {
        return ask(&Store::revoke_token, token);
    }
    Result<store::Revision> delete_token(const store::Key& token) override {
        return ask(&Store::delete_token, token);
    }

    Result<model::TokenKey> create_token_key(const model::TokenKey& key) override {
        return ask(&Store::create_token_key, key);
    }
    Result<store::Page<model::TokenKey>> token_keys(const store::Filter& filter) override {
        return ask(&Store::token_keys, filter);
    }
    Result<model::TokenKey> token_key(const store::Scope& scope, const std::string& id) override {
        return ask(&Store::token_key, scope, id);
    }
    Result<model::TokenKey> token_key_of(const std::string& tenant_id,
                                         const std::string& kid) override {
        return ask(&Store::token_key_of, tenant_id, kid);
    }
    Result<store::Revision> delete_token_key(const store::Key& key) override {
        return ask(&Store::delete_token_key, key);
    }

    Result<store::Enrolled> enrol(const store::Enrolment& request,
                                  const store::IssueCertificate& issue) override {
        return ask(&Store::enrol, request, issue);
    }
    Result<store::Enrolled> join(const std::string& node_id,
                                 const store::Joining& request) override {
        return ask(&Store::join, node_id, request);
    }

    Result<store::Page<model::Node>> nodes(const store::Filter& filter) override {
        return ask(&Store::nodes, filter);
    }
    Result<model::Node> node(const store::Scope& scope, const std::string& id) override {
        return ask(&Store::node, scope, id);
    }
    Result<store::Standing> standing(const store::Key& node) override {
        return ask(&Store::standing, node);
    }
    Result<model::Node> create_external(const store::NewExternal& node) override {
        return ask(&Store::create_external, node);
    }
    Result<model::Node> update_node(const store::Key& node,
                                    const store::NodeChange& change) override {
        return ask(&Store::update_node, node, change);
    }
    Result<model::Node> approve_node(const store::Key& node) override {
        return ask(&Store::approve_node, node);
    }
    Result<std::vector<store::Key>> delete_idle_nodes(WallTime up_since) override {
        return ask(&Store::delete_idle_nodes, up_since);
    }
    Result<std::vector<store::Key>> expire_due_keys() override {
        return ask(&Store::expire_due_keys);
    }
    Result<model::Node> expire_node(const store::Key& node) override {
        return ask(&Store::expire_node, node);
    }
    Result<model::Node> revoke_node(const store::Key& node) override {
        return ask(&Store::revoke_node, node);
    }
    Result<store::Revision> delete_node(const store::Key& node) override {
        return ask(&Store::delete_node, node);
    }

    Result<model::Node> renew_certificate(const store::Key& node,
                                          const store::Renewal& renewal) override {
        return ask(&Store::renew_certificate, node, renewal);
    }
    Result<void> confirm_certificate(const store::Key& node, const std::string& serial) override {
        return ask(&Store::confirm_certificate, node, serial);
    }
    Result<void> touch_seen(const store::Key& node) override {
        if (before_touch) before_touch();
        return ask(&Store::touch_seen, node);
    }
    Result<void> set_seen(const std::vector<store::Seen>& nodes) override {
        return ask(&Store::set_seen, nodes);
    }
    Result<std::optional<store::Revision>> set_endpoints(
        const store::Key& node, const store::NodeEndpoints& endpoints) override {
        return ask(&Store::set_endpoints, node, endpoints);
    }
    Result<void> set_inventory(const store::Key& node, const model::Inventory& inventory) override {
        return ask(&Store::set_inventory, node, inventory);
    }

    Result<void> record_refusals(const std::vector<store::Refusal>& refusals) override {
        return ask(&Store::record_refusals, refusals);
    }
    Result<store::AuditPage> audit(const store::AuditFilter& filter) override {
        return ask(&Store::audit, filter);
    }
    Result<std::vector<store::AuditVerdict>> verify_audit(const store::Scope& scope) override {
        return ask(&Store::verify_audit, scope);
    }
    Result<int64_t> prune_audit(const std::string& tenant_id, WallTime before) override {
        return ask(&Store::prune_audit, tenant_id, before);
    }

    Result<store::MapInputs> map_inputs(const std::string& tenant_id) override {
        return ask(&Store::map_inputs, tenant_id);
    }
    Result<std::vector<store::Event>> events_since(const std::string& tenant_id,
                                                   store::Revision since, int limit) override {
        return ask(&Store::events_since, tenant_id, since, limit);
    }

private:
    template <class T, class... Parameters, class... Args>
    Result<T> ask(Result<T> (Store::*verb)(Parameters...), Args&&... args) {
        failures += error_ ? 1 : 0;
        ++calls_;
        if (error_ && error_->reason == kThrown) throw std::runtime_error(error_->message);
        if (error_) return failed(*error_);
        return (inner_.*verb)(std::forward<Args>(args)...);
    }

    FailingStore(std::unique_ptr<store::Store> inner, FailingStore& whole)
        : owned_(std::move(inner)), inner_(*owned_), error_(whole.error_), calls_(whole.calls_) {}

    std::unique_ptr<store::Store> owned_;  // of a view
    store::Store& inner_;
    const std::optional<Error>& error_ = error;
    int& calls_ = calls;
};

}  // namespace cvlan::test
