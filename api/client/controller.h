// SPDX-License-Identifier: Apache-2.0
#pragma once

// The operator's half of api/openapi.yaml as typed calls. A list is followed to its last page. An
// object is asked for by id or by name; a name that nobody has is NotFound.

#include <functional>
#include <string>

#include "api/client/objects.h"
#include "api/client/transport.h"
#include "model/wire.h"

namespace cvlan::client {

namespace wire = model::wire;

enum class AccountNoun { User, Service };

class Controller {
public:
    explicit Controller(Transport transport) : transport_(std::move(transport)) {}

    Result<wire::TenantList> list_tenants(const Listing& listing = {});
    Result<wire::Tenant> find_tenant(const std::string& id_or_name);
    Result<wire::TenantUsage> tenant_usage(const std::string& id);
    Result<wire::Tenant> create_tenant(const wire::TenantCreate& tenant);

    // `tenant` is an id; empty asks for what the caller may see.
    Result<wire::NetworkList> list_networks(const Listing& listing);
    Result<wire::Network> find_network(const std::string& tenant, const std::string& id_or_name);
    Result<wire::Network> create_network(const wire::NetworkCreate& network);

    Result<wire::TokenList> list_tokens(const Listing& listing);
    Result<wire::Token> get_token(const std::string& tenant, const std::string& id);
    Result<wire::TokenCreated> create_token(const wire::TokenCreate& token);

    Result<wire::TokenKeyList> list_token_keys(const Listing& listing);
    Result<wire::TokenKey> find_token_key(const std::string& tenant, const std::string& id_or_name);
    Result<wire::TokenKeyCreated> create_token_key(const wire::TokenKeyCreate& key);
    Result<void> delete_token_key(const std::string& tenant, const std::string& id);

    Result<wire::NodeList> list_nodes(const Listing& listing);
    Result<wire::Node> find_node(const std::string& tenant, const std::string& id_or_name);
    // A stock WireGuard client, and its file for wg-quick without the private key.
    Result<wire::Node> create_external_node(const wire::ExternalNodeCreate& node);
    Result<wire::WireguardConfig> wireguard_config(const std::string& tenant,
                                                   const std::string& id);
    Result<wire::NodePeerList> list_node_peers(const std::string& tenant, const std::string& id);
    Result<void> delete_node(const std::string& tenant, const std::string& id);

    // What to read of the audit; empty fields do not narrow it.
    struct AuditQuery {
        std::string tenant{};  // an id; empty: the operator's own chain
        std::string actor{}, action{}, object{};
        std::string since{}, until{};  // RFC 3339
    };
    // TooLarge beyond `most` entries.
    Result<wire::AuditList> list_audit(const AuditQuery& query, size_t most);
    // Hands each page's lines to `take`, as they come.
    Result<void> export_audit(const AuditQuery& query, const std::string& format,
                              const std::function<void(const std::string&)>& take);
    Result<wire::AuditVerdictList> verify_audit(const std::string& tenant);
    // Opens a session, which the further calls are made in.
    Result<wire::Session> login(const wire::Login& login);
    Result<void> logout();
    Result<wire::Me> me();
    Result<void> change_password(const wire::PasswordChange& change);
    Result<wire::Account> use_link(const wire::LinkUse& use);

    Result<std::vector<wire::Account>> list_accounts(AccountNoun noun, const Listing& listing);
    Result<wire::Account> find_account(AccountNoun noun, const std::string& tenant,
                                       const std::string& id_or_name);
    Result<wire::UserCreated> create_user(const wire::UserCreate& user);
    Result<wire::OneTimeLink> create_user_link(const std::string& id);
    Result<wire::Account> create_service_account(const wire::ServiceAccountCreate& account);
    Result<wire::AccessTokenList> list_access_tokens(const Listing& listing);
    Result<wire::AccessTokenCreated> create_access_token(const wire::AccessTokenCreate& token);
    Result<wire::CertificateCreated> create_certificate(const wire::CertificateCreate& wanted);

    Result<void> delete_access_token(const std::string& id);

    Result<wire::WebhookList> list_webhooks(const Listing& listing);
    Result<wire::WebhookCreated> create_webhook(const wire::WebhookCreate& webhook);

    Result<wire::JobList> list_jobs(const Listing& listing);

    Result<wire::Version> version();

    // For what is asked by the table of resources (objects.h).
    Transport& transport() { return transport_; }

private:
    template <class T>
    Result<T> call(const char* method, const std::string& path, const std::string& body = {});
    // A POST that takes effect once, even where it is sent again.
    template <class T>
    Result<T> make(const std::string& path, const std::string& body = {});
    template <class List, class Item>
    Result<List> pages(const std::string& path, const Listing& listing,
                       std::vector<Item> List::*items);
    template <class Item, class List>
    Result<Item> find(const std::string& noun, const std::string& query,
                      const std::string& id_or_name, std::vector<Item> List::*items);
    Result<void> remove(const std::string& path);

    Transport transport_;
};

}  // namespace cvlan::client
