// SPDX-License-Identifier: Apache-2.0
#pragma once

// The nouns of the API as a table, generated from api/openapi.yaml by api/generate_resources.py: a
// noun that comes into the description comes into cvlanctl without code of its own.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cvlan::client {

// Whether a flag names a file with the value, and not the value itself: text as it stands there, or
// a secret's bytes, in a file of its owner's alone.
enum class FileFlag { No, Text, Secret };
enum class FieldType { Text, Integer, Boolean, Time, Object };

struct Field {
    std::string_view name{};  // on the wire
    // Of a list that a request wraps in an object, to tell an empty one from none: the list's name.
    std::string_view box{};
    bool is_list = false;
    bool is_required = false;
    FieldType type = FieldType::Text;
    std::span<const std::string_view> words{};  // the only ones it takes; empty: any
    std::span<const Field> fields{};            // of an Object
    std::string_view refers_to{};               // the kind whose id it holds
    // "network" of "networkId", which takes a name too; another name for the same.
    std::string_view alias{};
    std::string_view auto_word{};  // leaves the value to the controller
    std::string_view none_word{};  // stands for no value
    FileFlag file = FileFlag::No;
    std::string_view help{};
};

struct Operation {
    std::string_view method{};  // empty: the API does not have it
    std::span<const Field> fields{};
    bool validates = false;  // knows ?validateOnly=true
    bool matches = false;    // knows If-Match
    std::string_view help{};

    bool exists() const { return !method.empty(); }
    bool replaces() const { return method == "PUT"; }
};

struct Action {
    std::string_view verb{};     // "revoke"
    std::string_view path{};     // "/revoke", below the item's
    std::string_view warning{};  // what to tell before it is done; empty: nothing
    Operation operation{};
    std::string_view help{};
};

struct Resource {
    std::string_view kind{};     // "network"
    std::string_view command{};  // the words of its commands: "network", "ipsec connection"
    std::string_view plural{};   // "networks"
    std::string_view path{};     // of the collection
    // The list's property in a page; empty: a tenant has just one document, which lies at `path`.
    std::string_view items{};
    std::string_view key{};  // the field that names an object; "id" or empty: it has no name
    bool has_item = false;   // an object can be asked for at path/ID
    bool in_tenant = false;
    bool above_tenants = false;  // some lie above all tenants
    bool pages = false;
    bool filters_by_key = false;
    // The property of an answer to `create` that holds the object, where there is more in it.
    std::string_view made_in{};
    bool orders = false;
    std::span<const std::string_view> orders_by{};
    std::span<const Field> filters{};
    std::span<const Field> shown{};
    Operation create{};
    Operation update{};
    Operation remove{};
    std::span<const Action> actions{};

    bool is_single() const { return items.empty(); }
    // Whether two objects can be told apart by what a file says of them.
    bool has_name() const { return is_single() || (!key.empty() && key != "id"); }
    // Of any of its requests and answers.
    bool is_key(const Field& field) const {
        return !key.empty() && (field.name == key || field.alias == key);
    }
};

std::span<const Resource> resources();
// By kind or plural; nullptr where there is none.
const Resource* find_resource(std::string_view word);
// By its name or its alias.
const Field* find_field(std::span<const Field> fields, std::string_view name);
// As people write it: "network" rather than "networkId".
std::string_view display_name(const Field& field);
// "; did you mean 'network'?", or nothing where no word is near.
std::string suggestion(std::string_view word, const std::vector<std::string_view>& words);

}  // namespace cvlan::client
