// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the controller has, read once a kind and tenant when it is first asked for: it turns names
// into ids and back.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/client/objects.h"

namespace cvlan::cli {

class Catalogue {
public:
    explicit Catalogue(client::Objects objects) : objects_(objects) {}

    client::Objects& objects() { return objects_; }

    // `tenant` is an id; empty for what lies in none, or for all tenants.
    Result<std::vector<client::Value>> all(const client::Resource& resource,
                                           const std::string& tenant);
    // By id or name; nothing where nobody has it.
    Result<std::optional<client::Value>> find(const client::Resource& resource,
                                              const std::string& tenant,
                                              const std::string& id_or_name);
    // Just the one, asked for anew. NotFound; Invalid where several tenants have such a name.
    Result<client::Value> one(const client::Resource& resource, const std::string& tenant,
                              const std::string& id_or_name);
    // The name of an object, or `id` itself where it can not be told.
    std::string name_of(std::string_view kind, const std::string& tenant, const std::string& id);
    // What was made or changed meanwhile.
    void put(const client::Resource& resource, const std::string& tenant, client::Value object);

private:
    struct Shelf {
        std::vector<client::Value> objects;
        std::map<std::string, size_t, std::less<>> by_id, by_name;
    };
    Result<Shelf*> shelf(const client::Resource& resource, const std::string& tenant);
    Result<std::vector<client::Value>> read(const client::Resource& resource,
                                            const std::string& tenant);
    static void put_on(Shelf& shelf, const client::Resource& resource, client::Value object);

    client::Objects objects_;
    std::map<std::pair<std::string, std::string>, Shelf> shelves_;
};

}  // namespace cvlan::cli
