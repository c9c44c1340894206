//! Lists that are as long as one likes: what one real workspace has, written again and again for others.

use std::ops::Range;

use serde_json::Value;
use syncagent_core::names::{APPLIED, ORIGIN_GENERATION};
use syncagent_core::object::fingerprint::Fingerprint;

/// What tells the objects of one workspace from those of another.
#[derive(Debug)]
pub(crate) struct Marks {
    texts: Vec<(String, Mark)>,
}

#[derive(Clone, Debug)]
enum Mark {
    Cluster,
    Uid(String),
    /// The fingerprint of what was applied: what that was.
    Applied(Vec<Piece>),
}

impl Marks {
    /// Of a workspace whose objects have these uids, and copies that were applied so.
    pub(crate) fn new(cluster: &str, uids: Vec<String>, applied: Vec<Value>) -> Self {
        let mut texts = vec![(cluster.to_owned(), Mark::Cluster)];
        texts.extend(uids.into_iter().map(|it| (it.clone(), Mark::Uid(it))));
        let mut marks = Self { texts };
        for mut body in applied {
            // What is no content: on which state it was to be applied.
            if let Some(metadata) = body["metadata"].as_object_mut() {
                metadata.remove("resourceVersion");
                metadata.remove("uid");
            }
            let Some(annotations) = body["metadata"]["annotations"].as_object_mut() else {
                continue;
            };
            annotations.remove(ORIGIN_GENERATION);
            let Some(Value::String(said)) = annotations.remove(APPLIED) else {
                continue;
            };
            assert_eq!(
                said,
                Fingerprint::of(&body).to_string(),
                "it is of the body"
            );
            let pieces = marks.pieces(&body.to_string());
            marks.texts.push((said, Mark::Applied(pieces)));
        }
        marks
    }

    /// Takes a text apart where marks are.
    fn pieces(&self, text: &str) -> Vec<Piece> {
        let mut all = vec![Piece::Text(text.to_owned())];
        for (number, (mark, _)) in self.texts.iter().enumerate() {
            all = all
                .into_iter()
                .flat_map(|it| it.split(mark, number))
                .collect();
        }
        all
    }

    /// Puts it together for another workspace.
    fn write(&self, pieces: &[Piece], workspace: usize, out: &mut String) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Mark(number) => match &self.texts[*number].1 {
                    Mark::Cluster => out.push_str(&format!("w{workspace:015x}")),
                    // What differs within the workspace is what comes first.
                    Mark::Uid(uid) => out.push_str(&format!("{}{workspace:012x}", &uid[..24])),
                    Mark::Applied(pieces) => {
                        let mut body = String::new();
                        self.write(pieces, workspace, &mut body);
                        let body: Value = serde_json::from_str(&body).expect("it was JSON");
                        out.push_str(&Fingerprint::of(&body).to_string());
                    }
                },
            }
        }
    }
}

/// A part of a text.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// By its number among the marks.
    Mark(usize),
}

impl Piece {
    fn split(self, mark: &str, number: usize) -> Vec<Self> {
        let Self::Text(text) = self else {
            return vec![self];
        };
        let mut parts = Vec::new();
        for part in text.split(mark) {
            if !parts.is_empty() {
                parts.push(Self::Mark(number));
            }
            parts.push(Self::Text(part.to_owned()));
        }
        parts
    }
}

/// A list that was answered for one workspace, as it would be for many.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// What stands around the items.
    head: Value,
    /// What belongs to no workspace.
    once: Vec<String>,
    each: Vec<Vec<Piece>>,
    workspaces: usize,
}

impl Sheet {
    /// Makes many of the objects of a list; `None` where nothing in it belongs to the workspace.
    pub(crate) fn of(mut list: Value, marks: &Marks, workspaces: usize) -> Option<Self> {
        let items = list["items"].as_array_mut().map(std::mem::take)?;
        let on = list["metadata"]["continue"].as_str().unwrap_or_default();
        assert_eq!(on, "", "the first workspace fits into one page");
        let cluster = &marks.texts[0].0;
        let texts = items.iter().map(Value::to_string);
        let (each, once): (Vec<_>, Vec<_>) = texts.partition(|it| it.contains(cluster));
        let each: Vec<_> = each.iter().map(|it| marks.pieces(it)).collect();
        (!each.is_empty()).then_some(Self {
            head: list,
            once,
            each,
            workspaces,
        })
    }

    fn len(&self) -> usize {
        self.once.len() + self.each.len() * self.workspaces
    }

    /// A page from this object on, and from where on the next one is, if there is one.
    pub(crate) fn page(&self, marks: &Marks, from: usize, limit: usize) -> (String, Option<usize>) {
        let to = from.saturating_add(limit).min(self.len());
        let next = (to < self.len()).then_some(to);
        let mut head = self.head.clone();
        if let Some(next) = next {
            head["metadata"]["continue"] = next.to_string().into();
            head["metadata"]["remainingItemCount"] = (self.len() - to).into();
        }
        let head = head.to_string();
        let (before, behind) = head.split_once(r#""items":["#).expect("there are items");
        let mut out = format!(r#"{before}"items":["#);
        self.items(marks, from..to, &mut out);
        out.push_str(behind);
        (out, next)
    }

    fn items(&self, marks: &Marks, range: Range<usize>, out: &mut String) {
        for (number, at) in range.enumerate() {
            if number > 0 {
                out.push(',');
            }
            match at.checked_sub(self.once.len()) {
                None => out.push_str(&self.once[at]),
                Some(at) => {
                    let count = self.each.len();
                    marks.write(&self.each[at % count], at / count, out);
                }
            }
        }
    }
}
