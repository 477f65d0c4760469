// SPDX-License-Identifier: Apache-2.0
#pragma once

// The operations of the table of resources, on any noun. Errors are the server's own (transport.h).

#include <string>
#include <utility>
#include <vector>

#include "api/client/resources.h"
#include "api/client/transport.h"
#include "api/client/value.h"

namespace cvlan::client {

// `tenant` is an id; empty asks for all that the caller may see.
struct Listing {
    std::string tenant{};
    std::vector<std::pair<std::string, std::string>> filters{};
    std::string order_by{};
    size_t limit = 0;  // 0: to the last page
};

// The target of its first page: "/api/v1/networks?tenant=…&pageSize=1000".
std::string target_of(std::string_view path, const Listing& listing, bool pages);
// For a POST that is to take effect once; nobody can guess it.
std::string new_idempotency_key();

struct Place {
    const Resource& resource;
    std::string tenant{};
    std::string id{};  // empty of what a tenant has just one of
};

enum class Mode { Do, Validate };

// An object, and the ETag that tells whether it is so still; empty where the operation takes none.
struct Seen {
    Value value{};
    std::string etag{};
};

class Objects {
public:
    // `transport` outlives it.
    explicit Objects(Transport& transport) : transport_(transport) {}

    Result<std::vector<Value>> list(const Resource& resource, const Listing& listing);
    Result<Value> get(const Place& place);
    Result<Value> create(const Resource& resource, const Value& body, Mode mode);
    // What was `listed`, asked for anew where `operation` is to be told its ETag.
    Result<Seen> look(const Place& place, const Operation& operation, const Value& listed);
    // Conflict where it has another ETag by now, so that nobody's change is undone unseen: the one
    // that it had when it was decided what to do.
    Result<Value> update(const Place& place, const std::string& etag, const Value& body, Mode mode);
    Result<void> remove(const Place& place, const std::string& etag, Mode mode);
    Result<Value> act(const Place& place, const std::string& etag, const Action& action,
                      const Value& body);

private:
    Result<Value> ask(Call call);

    Transport& transport_;
};

}  // namespace cvlan::client
