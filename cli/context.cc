// SPDX-License-Identifier: Apache-2.0
#include "cli/context.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "model/objects.h"

namespace cvlan::cli {

namespace {

constexpr size_t kMaxFile = 16 * 1024;

Result<std::string> folder() {
    if (const char* set = std::getenv("XDG_CONFIG_HOME"); set && *set == '/')
        return std::string(set) + "/cvlan";
    if (const char* home = std::getenv("HOME"); home && *home == '/')
        return std::string(home) + "/.config/cvlan";
    return fail(Code::Invalid, "HOME is not set: there is no place for contexts");
}

// The name becomes one of a file: a label, and nothing else.
Result<std::string> path_of(const std::string& name) {
    if (auto good = model::check_name("context", name); !good) return failed(good.error());
    auto in = folder();
    if (!in) return in;
    return *in + "/contexts/" + name;
}

}  // namespace

Result<Context> load_context(const std::string& name) {
    auto path = path_of(name);
    if (!path) return failed(path.error());
    auto text = read_secret_file(*path, kMaxFile);
    if (!text && text.error().sys_errno == ENOENT)
        return fail(Code::NotFound, "there is no context '{}': cvlanctl login makes one", name);
    if (!text) return failed(text.error());
    const SecretText kept(std::move(*text));
    Context context{name, {}, {}};
    std::istringstream lines(kept.reveal());
    for (std::string line; std::getline(lines, line);) {
        const std::string key = line.substr(0, line.find(' '));
        std::string value = line.substr(std::min(line.size(), key.size() + 1));
        if (key == "server") context.server = std::move(value);
        if (key == "ca") context.ca = std::move(value);
        if (key == "token") context.token = SecretText(std::move(value));
    }
    return context;
}

Result<void> save_context(const Context& context) {
    auto path = path_of(context.name);
    if (!path) return failed(path.error());
    const auto parent = std::filesystem::path(*path).parent_path().string();
    if (auto made = make_directories(parent, 0700); !made) return made;
    const SecretText text(fmt::format("server {}\nca {}\ntoken {}\n", context.server, context.ca,
                                      context.token.reveal()));
    return write_durable(*path, text.reveal(), 0600);
}

Result<void> remove_context(const std::string& name) {
    auto path = path_of(name);
    if (!path) return failed(path.error());
    if (auto gone = remove_file(*path); !gone) return gone;
    if (current_context() != name) return {};
    return remove_file(*folder() + "/current-context");
}

Result<std::vector<std::string>> context_names() {
    auto in = folder();
    if (!in) return failed(in.error());
    std::vector<std::string> names;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(*in + "/contexts", none))
        if (model::check_name("context", entry.path().filename().string()))
            names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

std::string current_context() {
    auto in = folder();
    if (!in) return {};
    auto name = read_file(*in + "/current-context", kMaxFile);
    if (!name) return {};
    while (!name->empty() && name->back() == '\n') name->pop_back();
    return *name;
}

Result<void> use_context(const std::string& name) {
    if (auto there = load_context(name); !there) return failed(there.error());
    return write_durable(*folder() + "/current-context", name + "\n", 0600);
}

}  // namespace cvlan::cli
