// SPDX-License-Identifier: Apache-2.0
#include "cli/manifest.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>

#include "base/clock.h"

namespace cvlan::cli {

namespace {

using client::Field;
using client::FieldType;
using client::Value;

constexpr size_t kMaxFile = 64 << 20;

int line_of(const YAML::Mark& mark) { return mark.line + 1; }

std::string shortened(const std::string& text) {
    return text.size() <= 40 ? text : text.substr(0, 37) + "...";
}

Result<Value> read_value(const Field& field, const YAML::Node& node);

Result<Value> read_object(const Field& field, const YAML::Node& node) {
    if (!node.IsMap()) return fail(Code::Invalid, "must be a map of fields");
    Value object = Value::object();
    for (const auto& entry : node) {
        const auto& name = entry.first.Scalar();
        const Field* inner = client::find_field(field.fields, name);
        if (!inner) return fail(Code::Invalid, "has no field '{}'", shortened(name));
        auto value = read_value(*inner, entry.second);
        if (!value) return failed(value.error().while_doing(name));
        object.set(inner->name, std::move(*value));
    }
    for (const Field& inner : field.fields)
        if (inner.is_required && !object.find(inner.name))
            return fail(Code::Invalid, "lacks the field '{}'",
                        inner.alias.empty() ? inner.name : inner.alias);
    return object;
}

Result<Value> read_one(const Field& field, const YAML::Node& node) {
    if (field.type == FieldType::Object) return read_object(field, node);
    if (!node.IsScalar()) return fail(Code::Invalid, "must be one plain value");
    return read_plain(field, node.Scalar());
}

Result<Value> read_value(const Field& field, const YAML::Node& node) {
    if (node.IsNull()) return Value{};
    if (!field.is_list) return read_one(field, node);
    if (!node.IsSequence()) return fail(Code::Invalid, "must be a list");
    Value::List list;
    for (const auto& item : node) {
        auto value = read_one(field, item);
        if (!value) return value;
        list.push_back(std::move(*value));
    }
    return Value{std::move(list)};
}

// Reads one document into a Manifest. The first fault of each field is kept.
class Reader {
public:
    Reader(Manifests& out, std::string file, size_t document) : out_(out) {
        manifest_.file = std::move(file);
        manifest_.document = document;
    }

    void read(const YAML::Node& node) {
        manifest_.line = line_of(node.Mark());
        if (!node.IsMap()) return fault(manifest_.line, "must be a map: kind and fields");
        if (!read_kind(node)) return;
        for (const auto& entry : node) read_entry(entry.first, entry.second);
        const bool needs_key = !manifest_.resource->is_single();
        if (needs_key && manifest_.key.empty() && is_good_)
            fault(manifest_.line, manifest_.resource->has_name()
                                      ? fmt::format("a {} lacks the field '{}'",
                                                    manifest_.resource->kind, key_name())
                                      : fmt::format("a {} has no name to find it by, so that it "
                                                    "can not be applied",
                                                    manifest_.resource->kind));
        if (is_good_) out_.all.push_back(std::move(manifest_));
    }

private:
    void fault(int line, std::string_view why) {
        out_.faults.push_back(fmt::format("{}: {}", manifest_.at(line), why));
        is_good_ = false;
    }

    std::string_view key_name() const {
        const client::Resource& resource = *manifest_.resource;
        const Field* key = client::find_field(resource.shown, resource.key);
        return key ? client::display_name(*key) : resource.key;
    }

    bool read_kind(const YAML::Node& node) {
        std::vector<std::string_view> kinds;
        for (const client::Resource& one : client::resources()) kinds.push_back(one.kind);
        for (const auto& entry : node) {
            if (!entry.first.IsScalar() || entry.first.Scalar() != "kind") continue;
            const std::string word = entry.second.IsScalar() ? entry.second.Scalar() : "";
            manifest_.resource = client::find_resource(word);
            if (!manifest_.resource)
                fault(line_of(entry.second.Mark()),
                      fmt::format("there is no kind '{}'{}", shortened(word),
                                  client::suggestion(word, kinds)));
            return is_good_;
        }
        fault(manifest_.line,
              fmt::format("lacks the field 'kind', one of {}", fmt::join(kinds, ", ")));
        return false;
    }

    void read_entry(const YAML::Node& name_node, const YAML::Node& node) {
        const int line = line_of(name_node.Mark());
        if (!name_node.IsScalar()) return fault(line, "the name of a field must be text");
        const std::string& name = name_node.Scalar();
        if (name == "kind") return check_once(line, name);
        const client::Resource& resource = *manifest_.resource;
        if (resource.in_tenant && (name == "tenant" || name == "tenantId")) {
            check_once(line, "tenant");
            if (!node.IsScalar()) return fault(line, "tenant: must be a name or an id");
            manifest_.tenant = node.Scalar();
            return;
        }
        Given given{client::find_field(resource.create.fields, name),
                    client::find_field(resource.update.fields, name),
                    client::find_field(resource.shown, name),
                    {},
                    line};
        const Field* any = given.update ? given.update : given.create ? given.create : given.shown;
        if (!any) return unknown(line, name);
        check_once(line, any->name);
        if (resource.is_key(*any) && node.IsScalar()) manifest_.key = node.Scalar();
        // What the controller alone sets may stand there, so that what `get` prints is taken.
        if (given.update || given.create) read_given(std::move(given), node);
    }

    void read_given(Given given, const YAML::Node& node) {
        const std::string name(given.name());
        std::optional<Error> first;
        for (const Field* as : {given.update, given.create}) {
            if (!as) continue;
            auto value = read_value(*as, node);
            if (value) {
                given.value = std::move(*value);
                manifest_.fields.push_back(std::move(given));
                return;
            }
            if (!first) first = value.error();
        }
        // As the API shows it, which is another form than it is written in: nothing to set.
        if (given.shown && read_value(*given.shown, node)) return;
        fault(given.line, fmt::format("{}: {}", name, first->message));
    }

    void check_once(int line, std::string_view name) {
        if (!seen_.insert(std::string(name)).second)
            fault(line, fmt::format("the field '{}' is there twice", name));
    }

    void unknown(int line, const std::string& name) {
        const client::Resource& resource = *manifest_.resource;
        std::vector<std::string_view> names{"kind"};
        if (resource.in_tenant) names.push_back("tenant");
        for (const auto& fields : {resource.create.fields, resource.update.fields, resource.shown})
            for (const Field& field : fields) names.push_back(client::display_name(field));
        fault(line, fmt::format("a {} has no field '{}'{}", resource.kind, shortened(name),
                                client::suggestion(name, names)));
    }

    Manifests& out_;
    Manifest manifest_;
    std::set<std::string> seen_;
    bool is_good_ = true;
};

void read_text(const std::string& file, const std::string& text, Manifests& out) {
    try {
        size_t document = 0;
        for (const YAML::Node& node : YAML::LoadAll(text)) {
            ++document;
            if (node.IsSequence())
                for (const auto& item : node) Reader(out, file, document).read(item);
            else if (!node.IsNull())
                Reader(out, file, document).read(node);
        }
    } catch (const YAML::Exception& error) {
        out.faults.push_back(fmt::format("{}: line {}: {}", file, line_of(error.mark), error.msg));
    }
}

Result<void> read_file(const std::string& path, Manifests& out) {
    std::ifstream stream(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    if (!stream.is_open() || stream.bad()) return failed(errno_error(path));
    if (text.size() > kMaxFile) return fail(Code::Invalid, "{}: larger than 64 MiB", path);
    read_text(path, text, out);
    return {};
}

Result<void> read_folder(const std::string& path, Manifests& out) {
    std::vector<std::string> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
        const std::string kind = entry.path().extension();
        if (kind == ".yaml" || kind == ".yml" || kind == ".json") files.push_back(entry.path());
    }
    if (error) return fail(Code::Invalid, "{}: {}", path, error.message());
    if (files.empty())
        return fail(Code::Invalid, "{}: there is no *.yaml, *.yml or *.json in it", path);
    std::sort(files.begin(), files.end());
    for (const std::string& file : files)
        if (auto read = read_file(file, out); !read) return read;
    return {};
}

}  // namespace

Result<Value> read_plain(const Field& field, const std::string& text) {
    if (!field.words.empty() &&
        std::find(field.words.begin(), field.words.end(), text) == field.words.end())
        return fail(Code::Invalid, "'{}' is none of {}{}", shortened(text),
                    fmt::join(field.words, ", "),
                    client::suggestion(text, {field.words.begin(), field.words.end()}));
    if (field.type == FieldType::Boolean) {
        if (text == "true" || text == "false") return Value{text == "true"};
        return fail(Code::Invalid, "'{}' is neither true nor false", shortened(text));
    }
    if (field.type == FieldType::Integer) {
        int64_t number = 0;
        const char* end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, number);
        if (error == std::errc() && stop == end) return Value{number};
        return fail(Code::Invalid, "'{}' is no whole number", shortened(text));
    }
    if (field.type == FieldType::Time && !from_rfc3339(text))
        return fail(Code::Invalid, "'{}' is no time such as 2026-11-20T10:00:00Z", shortened(text));
    return Value{text};
}

std::string Manifest::at(int line_of_fault) const {
    return fmt::format("{}: document {}, line {}", file, document, line_of_fault);
}

Result<Manifests> read_manifests(const std::vector<std::string>& paths, std::istream& in) {
    Manifests out;
    for (const std::string& path : paths) {
        std::error_code ignored;
        if (path == "-") {
            read_text("standard input", {std::istreambuf_iterator<char>(in), {}}, out);
            continue;
        }
        auto read = std::filesystem::is_directory(path, ignored) ? read_folder(path, out)
                                                                 : read_file(path, out);
        if (!read) return failed(read.error());
    }
    return out;
}

}  // namespace cvlan::cli
