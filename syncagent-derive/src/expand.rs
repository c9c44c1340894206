//! The code that is emitted: it builds a `Definition` and calls the library. It cannot fail.
//!
//! Everything stands in an anonymous constant, names the facade's `__private` only, and keeps the spans of the user's
//! types and functions, so that what the compiler has to say about them lands there.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Generics, Path};

use crate::attr::{LabelAttr, MadeText, Text};
use crate::model::{
    Called, Change, Choice, Field, Find, Mutation, Naming, Objects, Part, Place, Publication,
    Related, Requirement, Return, Role, Schema, Service, Source, Status, StatusField, StatusType,
};

impl Publication {
    pub(crate) fn expand(&self) -> TokenStream {
        let prefix = self.prefix;
        let service = self.service_type();
        let rules = self.fields.iter().map(Field::expand);
        let copy = match &self.copy {
            Naming::Default => quote!(),
            Naming::Given {
                namespace, name, ..
            } => {
                let namespace = option(namespace.as_ref());
                quote!(definition.copy = __syncagent::naming(#namespace, #name);)
            }
        };
        let only = if self.namespaces.is_empty() && self.labels.is_empty() {
            quote!()
        } else {
            let namespaces = values(&self.namespaces);
            let labels = pairs(&self.labels);
            quote!(definition.only = __syncagent::only(&[#(#namespaces),*], &[#(#labels),*]);)
        };
        let set = self.set.iter().map(|it| {
            let (at, value) = (&it.at.value, &it.value);
            quote_spanned!(value.span()=> definition.set.push(__syncagent::set(#at, &#value));)
        });
        let pass = if self.pass_labels.is_empty() && self.pass_annotations.is_empty() {
            quote!()
        } else {
            let (labels, annotations) = (values(&self.pass_labels), values(&self.pass_annotations));
            quote!(definition.pass = __syncagent::pass(&[#(#labels),*], &[#(#annotations),*]);)
        };
        let schema = match &self.schema {
            Schema::Type => quote!(),
            Schema::Cluster => quote!(definition.schema = __syncagent::SchemaSource::Cluster;),
            Schema::Fields(fields) => {
                let fields = values(fields);
                quote!(definition.schema = __syncagent::subset(&[#(#fields),*]);)
            }
        };
        let selectors = self.selectors();
        let more = self.more();
        let returns = self.returns.iter().map(Return::expand);
        let status = match &self.status {
            Status::None => quote!(),
            Status::Whole => quote!(definition.status = __syncagent::StatusRule::Whole;),
            Status::Fields(ty) => quote_spanned! {ty.span()=>
                definition.status = __syncagent::StatusRule::Fields(<#ty as __syncagent::PublishStatus>::status_fields());
            },
        };
        let conditions = if self.conditions {
            quote!()
        } else {
            quote!(definition.policy.conditions = false;)
        };
        let rules: Vec<TokenStream> = rules.collect();
        let prefix = if rules.is_empty() {
            quote!()
        } else {
            quote!(let prefix = #prefix; let rules = &mut definition.fields;)
        };
        let offer = match &self.service {
            Service::Same => quote!(__syncagent::offer::<Self, Self>()),
            Service::Other(ty) => quote_spanned!(ty.span()=> __syncagent::offer::<Self, #ty>()),
        };
        self.implement(
            &service,
            &quote! {
                #[allow(unused_mut)]
                let mut definition = #offer;
                #schema #copy #only #selectors
                { #prefix #(#rules)* }
                #(#set)* #pass #(#returns)* #status #conditions #more
                __syncagent::complete(definition)
            },
        )
    }

    fn selectors(&self) -> TokenStream {
        let mut out = TokenStream::new();
        if !self.selector.is_empty() {
            let demands = self.selector.iter().map(Requirement::expand);
            out.extend(quote!(definition.only.selector.expressions = ::std::vec![#(#demands),*];));
        }
        if !self.namespace_selector.is_empty() {
            let demands = self.namespace_selector.iter().map(Requirement::expand);
            out.extend(
                quote!(definition.only.namespace_selector.expressions = ::std::vec![#(#demands),*];),
            );
        }
        out
    }

    /// What few publications say.
    fn more(&self) -> TokenStream {
        let mut out = TokenStream::new();
        for it in &self.down {
            let it = it.expand();
            out.extend(quote!(definition.mutations.down.push(#it);));
        }
        for it in &self.up {
            let it = it.expand();
            out.extend(quote!(definition.mutations.up.push(#it);));
        }
        out.extend(self.related.iter().map(Related::expand));
        if !self.reserved.is_empty() {
            let names = values(&self.reserved);
            out.extend(quote!(definition.reserved = __syncagent::texts(&[#(#names),*]);));
        }
        if !self.recreate.is_empty() {
            let rules = values(&self.recreate);
            out.extend(quote!(definition.recreate = __syncagent::texts(&[#(#rules),*]);));
        }
        if let Some((function, reads)) = &self.made_status {
            let reads = reads.iter().map(|it| {
                let (kind, name) = (&it.kind.0, &it.name.value);
                quote!(__syncagent::reads::<#kind>(#name))
            });
            out.extend(quote! {
                definition.made_status = ::core::option::Option::Some(__syncagent::made_status(
                    ::std::vec![#(#reads),*],
                    |sources| __syncagent::composed::<Self, _>(#function, sources),
                ));
            });
        }
        if !self.namespace_labels.is_empty() || !self.namespace_annotations.is_empty() {
            let (labels, annotations) = (
                pairs(&self.namespace_labels),
                pairs(&self.namespace_annotations),
            );
            out.extend(quote!(definition.namespaces = __syncagent::namespace(&[#(#labels),*], &[#(#annotations),*]);));
        }
        for (service, offered) in &self.versions {
            let (service, offered) = (&service.value, &offered.value);
            out.extend(quote!(definition.versions.push(__syncagent::version(#service, #offered));));
        }
        if let Some(singular) = &self.singular {
            let singular = &singular.value;
            out.extend(
                quote!(definition.names.singular = ::core::option::Option::Some(#singular.into());),
            );
        }
        for (field, texts) in [
            ("short_names", &self.short_names),
            ("categories", &self.categories),
        ] {
            if let Some(texts) = texts {
                let field = Ident::new(field, proc_macro2::Span::call_site());
                let texts = values(texts);
                out.extend(quote!(definition.names.#field = ::core::option::Option::Some(__syncagent::texts(&[#(#texts),*]));));
            }
        }
        out.extend(self.policies.iter().map(Choice::expand));
        if let Some(by_order) = self.deletion_by_order {
            out.extend(quote!(definition.policy.deletion_by_order = #by_order;));
        }
        if let Some(count) = self.concurrency {
            out.extend(
                quote!(definition.policy.concurrency = ::core::option::Option::Some(#count);),
            );
        }
        out
    }

    fn service_type(&self) -> TokenStream {
        match &self.service {
            Service::Same => quote!(Self),
            Service::Other(ty) => quote!(#ty),
        }
    }

    fn implement(&self, service: &TokenStream, body: &TokenStream) -> TokenStream {
        let kind = &self.kind;
        wrap(
            &self.krate,
            &quote! {
                impl __syncagent::Publish for #kind {
                    type Service = #service;
                    fn definition() -> __syncagent::Definition { #body }
                }
            },
        )
    }
}

impl Choice {
    fn expand(&self) -> TokenStream {
        let ident = |it: &str| Ident::new(it, proc_macro2::Span::call_site());
        let fields = self.field.split('.').map(ident);
        let (kind, variant) = (ident(self.kind), ident(self.variant));
        quote!(definition.policy.#(#fields).* = __syncagent::definition::#kind::#variant;)
    }
}

impl Requirement {
    fn expand(&self) -> TokenStream {
        let (key, values) = (&self.key, &self.values);
        let operator = Ident::new(self.operator, proc_macro2::Span::call_site());
        quote!(__syncagent::requirement(#key, __syncagent::definition::Operator::#operator, &[#(#values),*]))
    }

    /// The same demand as one on related objects.
    fn expand_found(&self) -> TokenStream {
        let (key, values) = (&self.key, &self.values);
        let operator = Ident::new(self.operator, proc_macro2::Span::call_site());
        if self.operator.contains("Exist") {
            quote!(__syncagent::definition::Expression::#operator(#key.into()))
        } else {
            quote!(__syncagent::definition::Expression::#operator(#key.into(), __syncagent::texts(&[#(#values),*])))
        }
    }
}

impl Mutation {
    fn expand(&self) -> TokenStream {
        let at = &self.at.value;
        let change = match &self.change {
            Change::Set(value) => {
                quote_spanned!(value.span()=> Set(__syncagent::constant(&#value)))
            }
            Change::Default(value) => {
                quote_spanned!(value.span()=> Default(__syncagent::constant(&#value)))
            }
            Change::Delete => quote!(Delete),
            Change::Regex(pattern, replacement) => {
                let (pattern, replacement) = (&pattern.value, &replacement.value);
                quote!(Regex { pattern: #pattern.into(), replacement: #replacement.into() })
            }
            Change::Template(text) => {
                let text = &text.value;
                quote!(Template(#text.into()))
            }
            Change::Cel(text) => {
                let text = &text.value;
                quote!(Cel(#text.into()))
            }
            Change::With(function) => {
                let convert = convert(function, None);
                quote!(Function(#convert))
            }
        };
        quote!(__syncagent::definition::Mutation::new(#at, __syncagent::definition::Change::#change))
    }
}

impl Related {
    fn expand(&self) -> TokenStream {
        let (kind, id) = (&self.kind, &self.id.value);
        let origin = Ident::new(self.origin, proc_macro2::Span::call_site());
        let objects = self.objects.expand();
        let mut more = TokenStream::new();
        if let Some(into) = &self.into {
            more.extend(quote!(rule.into = __syncagent::object::<#into>();));
        }
        if let Some(identity) = &self.identity {
            let identity = &identity.value;
            more.extend(quote!(rule.identity = ::core::option::Option::Some(#identity.into());));
        }
        if let Some(namespaces) = &self.namespaces {
            let namespaces = namespaces.expand();
            more.extend(quote!(rule.namespaces = ::core::option::Option::Some(#namespaces);));
        }
        if !self.labels.is_empty() {
            let labels = pairs(&self.labels);
            more.extend(quote!(rule.labels = __syncagent::owned_pairs(&[#(#labels),*]);));
        }
        if !self.keys.is_empty() {
            let keys = values(&self.keys);
            more.extend(quote!(rule.keys = __syncagent::texts(&[#(#keys),*]);));
        }
        if !self.pass_labels.is_empty() || !self.pass_annotations.is_empty() {
            let (labels, annotations) = (values(&self.pass_labels), values(&self.pass_annotations));
            more.extend(
                quote!(rule.pass = __syncagent::pass(&[#(#labels),*], &[#(#annotations),*]);),
            );
        }
        for it in &self.changes {
            let it = it.expand();
            more.extend(quote!(rule.mutations.push(#it);));
        }
        for (field, kind, chosen) in [
            ("cleanup", "Cleanup", self.cleanup),
            ("drift", "Drift", self.drift),
            ("unproven", "Unproven", self.unproven),
        ] {
            if let Some(variant) = chosen {
                let ident = |it| Ident::new(it, proc_macro2::Span::call_site());
                let (field, kind, variant) = (ident(field), ident(kind), ident(variant));
                more.extend(quote!(rule.#field = __syncagent::definition::#kind::#variant;));
            }
        }
        if self.status {
            more.extend(quote!(rule.status = true;));
        }
        quote! {
            definition.related.push({
                #[allow(unused_mut)]
                let mut rule = __syncagent::definition::RelatedRule::new(
                    #id,
                    __syncagent::definition::Side::#origin,
                    __syncagent::object::<#kind>(),
                    #objects,
                );
                #more
                rule
            });
        }
    }
}

impl Objects {
    fn expand(&self) -> TokenStream {
        let rewrite = |it: &crate::attr::RewriteAttr| {
            let (pattern, replacement) = (&it.pattern.value, &it.replacement.value);
            quote!(__syncagent::definition::Rewrite { pattern: #pattern.into(), replacement: #replacement.into() })
        };
        let find = match &self.find {
            Find::Reference(path, rewritten) => {
                let path = &path.value;
                let rewritten = match rewritten {
                    Some(it) => {
                        let it = rewrite(it);
                        quote!(::core::option::Option::Some(#it))
                    }
                    None => quote!(::core::option::Option::None),
                };
                quote!(Reference { path: #path.into(), rewrite: #rewritten })
            }
            Find::Selected(labels, demands) => {
                let labels = labels.iter().map(|it| {
                    let (key, value) = (it.key.expand(), it.value.expand());
                    quote!((#key, #value))
                });
                let demands = demands.iter().map(Requirement::expand_found);
                quote!(Labels(__syncagent::labelled(
                    ::std::vec![#(#labels),*],
                    ::std::vec![#(#demands),*]
                )))
            }
            Find::Named(name) => {
                let name = name.expand();
                quote!(Named(#name))
            }
        };
        let called = match &self.called {
            Called::Default => quote!(Default),
            Called::Text(text) => {
                let text = text.expand();
                quote!(Text(#text))
            }
            Called::Rewritten(it) => {
                let it = rewrite(it);
                quote!(Rewritten(#it))
            }
            Called::Mirrored => quote!(Mirrored),
        };
        quote! {
            __syncagent::definition::Objects {
                find: __syncagent::definition::Find::#find,
                called: __syncagent::definition::Called::#called,
            }
        }
    }
}

impl MadeText {
    fn expand(&self) -> TokenStream {
        match self {
            Self::Plain(text) => {
                let text = &text.value;
                quote!(__syncagent::definition::Text::from(#text))
            }
            Self::Go(text) => {
                let text = &text.value;
                quote!(__syncagent::definition::Text::Go(#text.into()))
            }
            Self::With(function) => {
                let function = &function.0;
                quote_spanned!(function.span()=> __syncagent::made_text(#function))
            }
        }
    }
}

impl Part {
    pub(crate) fn expand(&self) -> TokenStream {
        let rules = self.fields.iter().map(Field::expand);
        self.implement(&quote! {
            #[allow(unused_mut)]
            let mut all = ::std::vec::Vec::new();
            #[allow(unused_variables)]
            let rules = &mut all;
            #(#rules)*
            all
        })
    }

    fn implement(&self, body: &TokenStream) -> TokenStream {
        implement(
            &self.krate,
            &self.ident,
            &self.generics,
            "PublishPart",
            &quote! {
                #[allow(unused_variables)]
                fn fields(prefix: &str) -> ::std::vec::Vec<__syncagent::FieldRule> { #body }
            },
        )
    }
}

impl StatusType {
    pub(crate) fn expand(&self) -> TokenStream {
        let fields = self.fields.iter().map(StatusField::expand);
        self.implement(&quote!(::std::vec![#(#fields),*]))
    }

    fn implement(&self, body: &TokenStream) -> TokenStream {
        implement(
            &self.krate,
            &self.ident,
            &self.generics,
            "PublishStatus",
            &quote! {
                fn status_fields() -> ::std::vec::Vec<__syncagent::StatusField> { #body }
            },
        )
    }
}

impl Field {
    fn expand(&self) -> TokenStream {
        let path = match &self.place {
            Place::Below(name) => quote!(&__syncagent::below(prefix, #name)),
            Place::Here => quote!(prefix),
        };
        let ty = &self.ty;
        self.roles
            .iter()
            .map(|role| match role {
                // Beside another role it is a mistake that is reported already.
                Role::Nested if self.roles.len() > 1 => TokenStream::new(),
                Role::Nested => quote_spanned! {ty.span()=>
                    rules.extend(<#ty as __syncagent::PublishPart>::fields(#path));
                },
                Role::Moved { at, with: None } => {
                    let at = option(at.as_ref().map(|it| &it.value));
                    quote!(rules.push(__syncagent::moved(#path, #at));)
                }
                Role::Moved { at, with: Some(function) } => {
                    let at = option(at.as_ref().map(|it| &it.value));
                    let convert = convert(function, Some(&quote!(#ty)));
                    quote!(rules.push(__syncagent::computed(#path, #at, #convert));)
                }
                Role::Takes { kind, name, labels } => {
                    let name = option(name.as_ref().map(|it| &it.value));
                    let labels = pairs(labels);
                    quote!(rules.push(__syncagent::takes::<#kind, #ty>(#path, #name, &[#(#labels),*]));)
                }
                Role::RefersTo(target) => quote!(rules.push(__syncagent::refers_to::<#target, #ty>(#path));),
                Role::Hidden if self.default || self.roles.len() > 1 => quote!(rules.push(__syncagent::hidden(#path));),
                Role::Hidden => quote!(rules.push(__syncagent::hidden_option::<#ty>(#path));),
                Role::Local => quote!(rules.push(__syncagent::local(#path));),
            })
            .collect()
    }
}

impl StatusField {
    fn expand(&self) -> TokenStream {
        let path = format!("status.{}", self.wire);
        let at = self
            .at
            .as_ref()
            .map_or(path.as_str(), |it| it.value.as_str());
        match (&self.with, &self.refers_to) {
            (Some(function), _) => {
                // Without `at` the function sees the whole copy.
                let at = self.at.as_ref().map_or("", |it| it.value.as_str());
                let convert = convert(function, None);
                quote!(__syncagent::status_with(#path, #at, #convert))
            }
            (None, Some(target)) => quote!(__syncagent::status_refers_to::<#target>(#path, #at)),
            (None, None) => quote!(__syncagent::status_at(#path, #at)),
        }
    }
}

impl Return {
    fn expand(&self) -> TokenStream {
        let (kind, id, name) = (&self.kind, &self.id.value, &self.name.value);
        match &self.source {
            Source::From { name: from, keys } => {
                let from = &from.value;
                let keys = values(keys);
                quote!(definition.returns.push(__syncagent::returned_from::<#kind>(#id, #name, #from, &[#(#keys),*]));)
            }
            Source::With { function, reads } => {
                let reads = reads.iter().map(|it| {
                    let (kind, name) = (&it.kind.0, &it.name.value);
                    quote!(__syncagent::reads::<#kind>(#name))
                });
                quote! {
                    definition.returns.push(__syncagent::returned_with::<#kind>(
                        #id,
                        #name,
                        ::std::vec![#(#reads),*],
                        |sources| __syncagent::composed::<Self, #kind>(#function, sources),
                    ));
                }
            }
        }
    }
}

/// A closure that captures nothing and runs the user's function over JSON. A function may give a value, or a `Result`
/// whose error is a sentence for the consumer.
fn convert(function: &Path, argument: Option<&TokenStream>) -> TokenStream {
    let ty = argument.map(|ty| quote!(: #ty));
    let call = quote_spanned!(function.span()=> #function(&argument));
    quote! {
        |value: &__syncagent::Value| -> ::core::result::Result<__syncagent::Value, ::std::string::String> {
            #[allow(unused_imports)]
            use __syncagent::{AnswerOfResult as _, AnswerOfValue as _};
            let argument #ty = __syncagent::argument(value)?;
            (&__syncagent::Answer(#call)).json()
        }
    }
}

fn implement(
    krate: &Path,
    ident: &Ident,
    generics: &Generics,
    name: &str,
    body: &TokenStream,
) -> TokenStream {
    let name = Ident::new(name, proc_macro2::Span::call_site());
    let (generics, arguments, clause) = generics.split_for_impl();
    wrap(
        krate,
        &quote!(impl #generics __syncagent::#name for #ident #arguments #clause { #body }),
    )
}

fn wrap(krate: &Path, item: &TokenStream) -> TokenStream {
    quote! {
        const _: () = {
            use #krate::__private as __syncagent;
            #[automatically_derived]
            #[allow(clippy::all)]
            #item
        };
    }
}

fn option(text: Option<&String>) -> TokenStream {
    match text {
        Some(text) => quote!(::core::option::Option::Some(#text)),
        None => quote!(::core::option::Option::None),
    }
}

fn values(texts: &[Text]) -> Vec<&String> {
    texts.iter().map(|it| &it.value).collect()
}

fn pairs(labels: &[LabelAttr]) -> Vec<TokenStream> {
    let pair = |it: &LabelAttr| {
        let (key, value) = (&it.key.value, &it.value.value);
        quote!((#key, #value))
    };
    labels.iter().map(pair).collect()
}
