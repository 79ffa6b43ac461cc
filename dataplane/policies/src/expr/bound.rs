//! Depth: at most 96 levels. Loops: at most two, and each range is measured before it is walked.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr};
use cel::common::types::{CelInt, DYN_TYPE};
use cel::common::value::CowVal;
use cel::{Env, ExecutionError};

const DEEPEST: usize = 96;
const MOST_NESTED: usize = 2;
const MOST_ITEMS: i64 = 1000;
/// No name that can be written.
const MEASURE: &str = "@measured";
pub(super) const TOO_MANY: &str = "the expression walks over more than 1,000 items";

/// With the function that measures.
pub(super) fn add(env: &mut Env) {
    // The name is new in every environment.
    let _ = env.add_overload(MEASURE, MEASURE, vec![DYN_TYPE], measured);
}

fn measured<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let mut args = args.into_iter();
    let Some(range) = args.next() else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let size = range.as_sizer().map(|sizer| sizer.size());
    match size.map(|size: CelInt| *size.inner()) {
        Some(size) if size > MOST_ITEMS => Err(ExecutionError::function_error(MEASURE, TOO_MANY)),
        Some(_) | None => Ok(range),
    }
}

/// # Errors
/// One sentence when it is, or loops are, too deep.
pub(super) fn bounded(mut tree: IdedExpr) -> Result<IdedExpr, String> {
    walk(&mut tree, 0, 0)?;
    Ok(tree)
}

fn walk(node: &mut IdedExpr, depth: usize, nested: usize) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("it is nested deeper than {DEEPEST} levels"));
    }
    let depth = depth + 1;
    let mut each = |node: &mut IdedExpr| walk(node, depth, nested);
    match &mut node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Ok(()),
        Expr::Call(call) => {
            call.target.iter_mut().try_for_each(|target| each(target))?;
            call.args.iter_mut().try_for_each(each)
        }
        Expr::List(list) => list.elements.iter_mut().try_for_each(each),
        Expr::Map(map) => map
            .entries
            .iter_mut()
            .try_for_each(|entry| entry_parts(&mut entry.expr, &mut each)),
        Expr::Struct(made) => made
            .entries
            .iter_mut()
            .try_for_each(|entry| entry_parts(&mut entry.expr, &mut each)),
        Expr::Select(select) => each(&mut select.operand),
        Expr::Comprehension(comprehension) => {
            if nested == MOST_NESTED {
                return Err(format!(
                    "its loops are nested, and {MOST_NESTED} levels are the most"
                ));
            }
            each(&mut comprehension.iter_range)?;
            each(&mut comprehension.accu_init)?;
            walk(&mut comprehension.loop_cond, depth, nested + 1)?;
            walk(&mut comprehension.loop_step, depth, nested + 1)?;
            walk(&mut comprehension.result, depth, nested)?;
            let id = comprehension.iter_range.id;
            let range = std::mem::take(&mut comprehension.iter_range);
            comprehension.iter_range = IdedExpr {
                id,
                expr: Expr::Call(CallExpr {
                    func_name: MEASURE.to_owned(),
                    target: None,
                    args: vec![range],
                }),
            };
            Ok(())
        }
    }
}

fn entry_parts(
    entry: &mut EntryExpr,
    each: &mut impl FnMut(&mut IdedExpr) -> Result<(), String>,
) -> Result<(), String> {
    match entry {
        EntryExpr::StructField(field) => each(&mut field.value),
        EntryExpr::MapEntry(pair) => {
            each(&mut pair.key)?;
            each(&mut pair.value)
        }
    }
}
