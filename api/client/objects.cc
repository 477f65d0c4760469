// SPDX-License-Identifier: Apache-2.0
#include "api/client/objects.h"

#include "base/bytes.h"

namespace cvlan::client {

namespace {

constexpr size_t kPage = 1000;

void add_query(std::string& path, std::string_view name, std::string_view value) {
    path += fmt::format("{}{}={}", path.find('?') == std::string::npos ? '?' : '&', name,
                        url_encode(value));
}

std::string path_of(const Place& place, std::string_view below = "") {
    std::string path(place.resource.path);
    if (!place.resource.is_single()) path += "/" + url_encode(place.id);
    path += below;
    if (place.resource.in_tenant && !place.tenant.empty()) add_query(path, "tenant", place.tenant);
    return path;
}

Call call_of(const Operation& operation, std::string path, const Value* body, Mode mode) {
    if (mode == Mode::Validate) add_query(path, "validateOnly", "true");
    Call call{.method = operation.method.data(), .path = std::move(path)};
    if (body) call.body = encode(*body);
    if (operation.method == "POST") call.idempotency_key = new_idempotency_key();
    return call;
}

}  // namespace

std::string new_idempotency_key() { return hex(random_bytes(16)); }

std::string target_of(std::string_view path, const Listing& listing, bool pages) {
    std::string target(path);
    if (!listing.tenant.empty()) add_query(target, "tenant", listing.tenant);
    for (const auto& [name, value] : listing.filters) add_query(target, name, value);
    if (!listing.order_by.empty()) add_query(target, "orderBy", listing.order_by);
    if (pages)
        add_query(target, "pageSize",
                  std::to_string(listing.limit == 0 ? kPage : std::min(kPage, listing.limit)));
    return target;
}

Result<Value> Objects::ask(Call call) {
    auto answer = transport_.send(call);
    if (!answer) return failed(answer.error());
    auto value = answer->empty() ? Value::object() : parse_value(*answer);
    if (!value) return fail(Code::Malformed, "the controller's answer: {}", value.error().message);
    return value;
}

Result<std::vector<Value>> Objects::list(const Resource& resource, const Listing& listing) {
    Listing asked = listing;
    if (!resource.in_tenant) asked.tenant.clear();
    const std::string first = target_of(resource.path, asked, resource.pages);
    std::vector<Value> all;
    for (std::string token;;) {
        std::string path = first;
        if (!token.empty()) add_query(path, "pageToken", token);
        auto page = ask({.path = std::move(path)});
        if (!page) return failed(page.error());
        const Value* items = page->find(resource.items);
        if (!items || !items->list())
            return fail(Code::Malformed, "the controller's answer: it has no list '{}'",
                        resource.items);
        all.insert(all.end(), items->list()->begin(), items->list()->end());
        const std::string& next = page->text_of("nextPageToken");
        if (listing.limit != 0 && all.size() >= listing.limit) all.resize(listing.limit);
        if (next.empty() || all.size() == listing.limit) return all;
        if (next == token) return fail(Code::Malformed, "the controller's pages never end");
        token = next;
    }
}

Result<Value> Objects::get(const Place& place) { return ask({.path = path_of(place)}); }

Result<Value> Objects::create(const Resource& resource, const Value& body, Mode mode) {
    return ask(call_of(resource.create, std::string(resource.path), &body, mode));
}

Result<Seen> Objects::look(const Place& place, const Operation& operation, const Value& listed) {
    if (!operation.matches) return Seen{listed, ""};
    auto now = transport_.exchange({.path = path_of(place)});
    if (!now) return failed(now.error());
    auto value = parse_value(now->body);
    if (!value) return fail(Code::Malformed, "the controller's answer: {}", value.error().message);
    return Seen{std::move(*value), std::move(now->etag)};
}

Result<Value> Objects::update(const Place& place, const std::string& etag, const Value& body,
                              Mode mode) {
    Call call = call_of(place.resource.update, path_of(place), &body, mode);
    call.if_match = etag;
    return ask(std::move(call));
}

Result<void> Objects::remove(const Place& place, const std::string& etag, Mode mode) {
    Call call = call_of(place.resource.remove, path_of(place), nullptr, mode);
    call.if_match = etag;
    auto gone = ask(std::move(call));
    if (!gone) return failed(gone.error());
    return {};
}

Result<Value> Objects::act(const Place& place, const std::string& etag, const Action& action,
                           const Value& body) {
    const Value* sent = action.operation.fields.empty() ? nullptr : &body;
    Call call = call_of(action.operation, path_of(place, action.path), sent, Mode::Do);
    call.if_match = etag;
    return ask(std::move(call));
}

}  // namespace cvlan::client
