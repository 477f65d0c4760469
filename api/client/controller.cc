// SPDX-License-Identifier: Apache-2.0
#include "api/client/controller.h"

#include "base/bytes.h"

namespace cvlan::client {

namespace {

// "?tenant=…&network=…" of the parts which are not empty; "" of none.
std::string query(std::initializer_list<std::pair<const char*, std::string>> parts) {
    std::string text;
    for (const auto& [key, value] : parts)
        if (!value.empty())
            text += fmt::format("{}{}={}", text.empty() ? '?' : '&', key, url_encode(value));
    return text;
}

std::string join_query(const std::string& path, const std::string& more) {
    return path + (path.find('?') == std::string::npos ? '?' : '&') + more;
}

std::string one(const char* noun, const std::string& id, const std::string& tenant,
                const char* verb = "") {
    return fmt::format("/api/v1/{}s/{}{}{}", noun, url_encode(id), verb,
                       query({{"tenant", tenant}}));
}

}  // namespace

template <class T>
static Result<T> decoded(const std::string& answer) {
    auto document = model::decode<T>(answer, model::kDocument);
    if (!document)
        return fail(Code::Malformed, "the controller's answer: {}", document.error().message);
    return document;
}

template <class T>
Result<T> Controller::call(const char* method, const std::string& path, const std::string& body) {
    auto answer = transport_.send({.method = method, .path = path, .body = body});
    if (!answer) return failed(answer.error());
    return decoded<T>(*answer);
}

template <class T>
Result<T> Controller::make(const std::string& path, const std::string& body) {
    auto answer = transport_.send(
        {.method = "POST", .path = path, .body = body, .idempotency_key = new_idempotency_key()});
    if (!answer) return failed(answer.error());
    return decoded<T>(*answer);
}

template <class List, class Item>
Result<List> Controller::pages(const std::string& path, const Listing& listing,
                               std::vector<Item> List::*items) {
    const std::string first = target_of(path, listing, true);
    List all;
    for (std::string token;;) {
        std::string at = first;
        if (!token.empty()) at += "&pageToken=" + url_encode(token);
        auto page = call<List>("GET", at);
        if (!page) return failed(page.error());
        auto& more = (*page).*items;
        std::move(more.begin(), more.end(), std::back_inserter(all.*items));
        const bool is_enough = listing.limit != 0 && (all.*items).size() >= listing.limit;
        if (is_enough) (all.*items).resize(listing.limit);
        if (page->next_page_token.empty() || is_enough) return all;
        if (page->next_page_token == token)
            return fail(Code::Malformed, "the controller's pages never end");
        token = page->next_page_token;
    }
}

template <class Item, class List>
Result<Item> Controller::find(const std::string& noun, const std::string& tenant,
                              const std::string& id_or_name, std::vector<Item> List::*items) {
    if (is_uuid(id_or_name)) return call<Item>("GET", one(noun.c_str(), id_or_name, tenant));
    auto found = pages(fmt::format("/api/v1/{}s", noun),
                       Listing{.tenant = tenant, .filters = {{"name", id_or_name}}}, items);
    if (!found) return failed(found.error());
    // A server of another version may not know the filter: look for ourselves.
    for (Item& item : (*found).*items)
        if (item.name == id_or_name) return std::move(item);
    return fail(Code::NotFound, "no {} has the name '{}'", noun, id_or_name);
}

Result<void> Controller::remove(const std::string& path) {
    auto answer = transport_.send({.method = "DELETE", .path = path});
    if (!answer) return failed(answer.error());
    return {};
}

Result<wire::TenantList> Controller::list_tenants(const Listing& listing) {
    return pages("/api/v1/tenants", listing, &wire::TenantList::tenants);
}
Result<wire::Tenant> Controller::find_tenant(const std::string& id_or_name) {
    return find("tenant", "", id_or_name, &wire::TenantList::tenants);
}
Result<wire::TenantUsage> Controller::tenant_usage(const std::string& id) {
    return call<wire::TenantUsage>("GET", one("tenant", id, "", "/usage"));
}
Result<wire::Tenant> Controller::create_tenant(const wire::TenantCreate& tenant) {
    return make<wire::Tenant>("/api/v1/tenants", encode(tenant));
}

Result<wire::NetworkList> Controller::list_networks(const Listing& listing) {
    return pages("/api/v1/networks", listing, &wire::NetworkList::networks);
}
Result<wire::Network> Controller::find_network(const std::string& tenant,
                                               const std::string& id_or_name) {
    return find("network", tenant, id_or_name, &wire::NetworkList::networks);
}
Result<wire::Network> Controller::create_network(const wire::NetworkCreate& network) {
    return make<wire::Network>("/api/v1/networks", encode(network));
}

Result<wire::TokenList> Controller::list_tokens(const Listing& listing) {
    return pages("/api/v1/tokens", listing, &wire::TokenList::tokens);
}
Result<wire::Token> Controller::get_token(const std::string& tenant, const std::string& id) {
    return call<wire::Token>("GET", one("token", id, tenant));
}
Result<wire::TokenCreated> Controller::create_token(const wire::TokenCreate& token) {
    return make<wire::TokenCreated>("/api/v1/tokens", encode(token));
}

Result<wire::TokenKeyList> Controller::list_token_keys(const Listing& listing) {
    return pages("/api/v1/token-keys", listing, &wire::TokenKeyList::token_keys);
}
Result<wire::TokenKey> Controller::find_token_key(const std::string& tenant,
                                                  const std::string& id_or_name) {
    return find("token-key", tenant, id_or_name, &wire::TokenKeyList::token_keys);
}
Result<wire::TokenKeyCreated> Controller::create_token_key(const wire::TokenKeyCreate& key) {
    return make<wire::TokenKeyCreated>("/api/v1/token-keys", encode(key));
}
Result<void> Controller::delete_token_key(const std::string& tenant, const std::string& id) {
    return remove(one("token-key", id, tenant));
}

Result<wire::NodeList> Controller::list_nodes(const Listing& listing) {
    return pages("/api/v1/nodes", listing, &wire::NodeList::nodes);
}
Result<wire::Node> Controller::find_node(const std::string& tenant, const std::string& id_or_name) {
    return find("node", tenant, id_or_name, &wire::NodeList::nodes);
}
Result<wire::Node> Controller::create_external_node(const wire::ExternalNodeCreate& node) {
    return make<wire::Node>("/api/v1/nodes/external", encode(node));
}
Result<wire::WireguardConfig> Controller::wireguard_config(const std::string& tenant,
                                                           const std::string& id) {
    return call<wire::WireguardConfig>("GET", one("node", id, tenant, "/wireguard-config"));
}
Result<wire::NodePeerList> Controller::list_node_peers(const std::string& tenant,
                                                       const std::string& id) {
    return call<wire::NodePeerList>("GET", one("node", id, tenant, "/peers"));
}
Result<void> Controller::delete_node(const std::string& tenant, const std::string& id) {
    return remove(one("node", id, tenant));
}

static std::string audit_path(const char* path, const Controller::AuditQuery& asked) {
    return path + query({{"tenant", asked.tenant},
                         {"actor", asked.actor},
                         {"action", asked.action},
                         {"object", asked.object},
                         {"since", asked.since},
                         {"until", asked.until}});
}

Result<wire::AuditList> Controller::list_audit(const AuditQuery& asked, size_t most) {
    wire::AuditList all;
    const std::string path = join_query(audit_path("/api/v1/audit", asked), "pageSize=1000");
    for (std::string at = path;;) {
        auto page = call<wire::AuditList>("GET", at);
        if (!page) return failed(page.error());
        std::move(page->entries.begin(), page->entries.end(), std::back_inserter(all.entries));
        if (page->next_page_token.empty()) return all;
        if (all.entries.size() >= most || page->entries.empty())
            return fail(Code::TooLarge, "more than {} entries: ask for less, or export them", most);
        at = path + "&pageToken=" + url_encode(page->next_page_token);
    }
}

Result<void> Controller::export_audit(const AuditQuery& asked, const std::string& format,
                                      const std::function<void(const std::string&)>& take) {
    std::string at = join_query(audit_path("/api/v1/audit/export", asked), "format=" + format);
    while (!at.empty()) {
        std::string next;
        auto lines = transport_.send({.path = at, .next = &next});
        if (!lines) return failed(lines.error());
        take(*lines);
        if (next == at) return fail(Code::Malformed, "the controller's pages never end");
        at = std::move(next);
    }
    return {};
}

Result<wire::AuditVerdictList> Controller::verify_audit(const std::string& tenant) {
    auto answer = transport_.send({.path = "/api/v1/audit/verify" + query({{"tenant", tenant}}),
                                   .patience = std::chrono::minutes(10)});
    if (!answer) return failed(answer.error());
    return decoded<wire::AuditVerdictList>(*answer);
}

Result<wire::Session> Controller::login(const wire::Login& login) {
    auto session = call<wire::Session>("POST", "/api/v1/auth/login", encode(login));
    if (session) transport_.set_csrf_token(session->csrf_token);
    return session;
}
Result<void> Controller::logout() {
    auto answer = transport_.send({.method = "POST", .path = "/api/v1/auth/logout"});
    if (!answer) return failed(answer.error());
    return {};
}
Result<wire::Me> Controller::me() { return call<wire::Me>("GET", "/api/v1/auth/me"); }
Result<void> Controller::change_password(const wire::PasswordChange& change) {
    auto answer = transport_.send(
        {.method = "POST", .path = "/api/v1/auth/password", .body = encode(change)});
    if (!answer) return failed(answer.error());
    return {};
}
Result<wire::Account> Controller::use_link(const wire::LinkUse& use) {
    return call<wire::Account>("POST", "/api/v1/auth/links", encode(use));
}

static const char* noun_of(AccountNoun noun) {
    return noun == AccountNoun::User ? "user" : "service-account";
}
Result<std::vector<wire::Account>> Controller::list_accounts(AccountNoun noun,
                                                             const Listing& listing) {
    const std::string path = fmt::format("/api/v1/{}s", noun_of(noun));
    if (noun == AccountNoun::User)
        return pages(path, listing, &wire::UserList::users).map([](auto list) {
            return list.users;
        });
    return pages(path, listing, &wire::ServiceAccountList::service_accounts).map([](auto list) {
        return list.service_accounts;
    });
}
Result<wire::Account> Controller::find_account(AccountNoun noun, const std::string& tenant,
                                               const std::string& id_or_name) {
    if (noun == AccountNoun::User)
        return find(noun_of(noun), tenant, id_or_name, &wire::UserList::users);
    return find(noun_of(noun), tenant, id_or_name, &wire::ServiceAccountList::service_accounts);
}
Result<wire::UserCreated> Controller::create_user(const wire::UserCreate& user) {
    return make<wire::UserCreated>("/api/v1/users", encode(user));
}
Result<wire::OneTimeLink> Controller::create_user_link(const std::string& id) {
    return make<wire::OneTimeLink>(one("user", id, "", "/link"));
}
Result<wire::Account> Controller::create_service_account(
    const wire::ServiceAccountCreate& account) {
    return make<wire::Account>("/api/v1/service-accounts", encode(account));
}
Result<wire::AccessTokenList> Controller::list_access_tokens(const Listing& listing) {
    return pages("/api/v1/access-tokens", listing, &wire::AccessTokenList::access_tokens);
}
Result<wire::AccessTokenCreated> Controller::create_access_token(
    const wire::AccessTokenCreate& token) {
    return make<wire::AccessTokenCreated>("/api/v1/access-tokens", encode(token));
}
Result<wire::CertificateCreated> Controller::create_certificate(
    const wire::CertificateCreate& wanted) {
    return make<wire::CertificateCreated>("/api/v1/certificates", encode(wanted));
}

Result<void> Controller::delete_access_token(const std::string& id) {
    return remove(one("access-token", id, ""));
}

Result<wire::WebhookList> Controller::list_webhooks(const Listing& listing) {
    return pages("/api/v1/webhooks", listing, &wire::WebhookList::webhooks);
}
Result<wire::WebhookCreated> Controller::create_webhook(const wire::WebhookCreate& webhook) {
    return make<wire::WebhookCreated>("/api/v1/webhooks", encode(webhook));
}

Result<wire::JobList> Controller::list_jobs(const Listing& listing) {
    return pages("/api/v1/jobs", listing, &wire::JobList::jobs);
}

Result<wire::Version> Controller::version() { return call<wire::Version>("GET", "/version"); }

}  // namespace cvlan::client
