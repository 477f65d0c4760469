// SPDX-License-Identifier: Apache-2.0
#pragma once

// Wished against seen: which fields of an object differ, the bodies of the requests, and the lines
// of a plan. Knows no controller; names of references are turned to ids by the caller's function.

#include <functional>

#include "cli/manifest.h"

namespace cvlan::cli {

// Ids for names, kind by kind, and names for ids. What can not be told comes back as it is.
struct Names {
    std::function<std::string(std::string_view kind, const std::string& name)> id_of;
    std::function<std::string(std::string_view kind, const std::string& id)> name_of;
};

struct FieldChange {
    const Given* given = nullptr;
    client::Value before{}, after{};  // as people read them; null: none
};

struct Change {
    enum class What { Nothing, Create, Update, Delete } what = What::Nothing;
    const client::Resource* resource = nullptr;
    const Manifest* manifest = nullptr;  // nullptr of a Delete
    std::string tenant{};                // its name; empty of what lies in none
    std::string tenant_id{};             // empty where the tenant is yet to be made
    std::string key{};
    client::Value seen{};               // null of a Create
    std::string etag{};                 // of what was seen
    std::vector<FieldChange> fields{};  // of an Update those that differ, of a Create all to show

    std::string name() const;  // "acme/office"
};

// What the API does not show (a password) is sent when an object is made, and printed nowhere.
bool is_comparable(const Given& given);
using SeeReference = std::function<void(std::string_view kind, const std::string& name)>;
void each_reference(const client::Field& field, const client::Value& value,
                    const SeeReference& see);
// The fields of `manifest` that differ from `seen`. Invalid names the one that can not be changed.
Result<std::vector<FieldChange>> differences(const Manifest& manifest, const client::Value& seen,
                                             const Names& names);
// The bodies of requests, references as ids.
Result<client::Value> create_body(const Change& change, const Names& names);
Result<client::Value> update_body(const Change& change, const Names& names);

// "+ network acme/office: ipv4 10.1.0.0/24", "~ tenant acme: description a → b".
std::string text(const Change& change);
client::Value to_value(const Change& change);  // the same for programs
// A value on one line, and not much of it.
std::string brief(const client::Value& value);

}  // namespace cvlan::cli
